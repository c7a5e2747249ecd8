/** Receivers that connect to a TCP server and store what it sends. Not reliable: TCP has nobody to acknowledge to. */
import { connect, type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { kindOf } from '../arguments.js'
import { MillraceError, toError } from '../errors.js'
import { StorageLevel } from '../rdd/storage-level.js'
import { deserializeRecords } from '../storage/record-serializer.js'
import { Receiver } from './receiver.js'

/** Records made of the bytes of one connection. */
export type SocketConverter<T> = (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<T>

abstract class ConnectingReceiver<T> extends Receiver<T> {
  readonly #host: string
  readonly #port: number
  #socket: Socket | null = null

  constructor(host: string, port: number, storageLevel: StorageLevel) {
    super(storageLevel)
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `A port is a whole number from 1 to 65535, not ${kindOf(port)}.`)
    }
    this.#host = host
    this.#port = port
  }

  onStart(): void {
    const socket = connect(this.#port, this.#host)
    this.#socket = socket
    let connected = false
    socket.once('connect', () => {
      connected = true
    })
    // Read or not, the end of a socket is seen here; the loop below sees it as well.
    socket.on('error', () => {})
    this.read(socket).then(
      () => this.#ended(socket, 'Socket data stream had no more data'),
      (error: unknown) =>
        this.#ended(
          socket,
          connected ? 'Error receiving data' : `Error connecting to ${this.#host}:${this.#port}`,
          error,
        ),
    )
  }

  onStop(): void {
    this.#socket?.destroy()
    this.#socket = null
  }

  /** Stores everything that comes over one connection; resolves at its end. */
  protected abstract read(socket: AsyncIterable<Uint8Array>): Promise<void>

  #ended(socket: Socket, message: string, error?: unknown): void {
    socket.destroy()
    // A connection that onStop closed is not missed.
    if (this.#socket === socket && !this.isStopped())
      this.restart(message, error === undefined ? undefined : toError(error))
  }
}

/** Records of one's own making. */
export class SocketReceiver<T> extends ConnectingReceiver<T> {
  readonly #converter: SocketConverter<T>

  constructor(
    host: string,
    port: number,
    converter: SocketConverter<T>,
    storageLevel: StorageLevel = StorageLevel.MEMORY_AND_DISK_SER_2,
  ) {
    super(host, port, storageLevel)
    this.#converter = converter
  }

  protected override async read(socket: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const record of this.#converter(socket)) {
      if (this.isStopped()) return
      if (!this.store(record)) await this.drained()
    }
  }
}

/** Lines of text, UTF-8. */
export class SocketTextReceiver extends ConnectingReceiver<string> {
  protected override async read(socket: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new StringDecoder('utf8')
    let rest = ''
    for await (const bytes of socket) {
      const lines = (rest + decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))).split(/\r?\n/)
      rest = lines.pop()!
      for (const line of lines) if (!this.store(line)) await this.drained()
    }
    rest += decoder.end()
    if (rest !== '') this.store(rest)
  }
}

const lengthBytes = 4
/** More than any sender makes on purpose. */
const blockBytesMax = 1 << 30

/** Blocks of serialized records, each after its length in four bytes. */
export class RawSocketReceiver<T> extends ConnectingReceiver<T> {
  protected override async read(socket: AsyncIterable<Uint8Array>): Promise<void> {
    let waiting: Buffer = Buffer.alloc(0)
    for await (const bytes of socket) {
      waiting = waiting.length === 0 ? Buffer.from(bytes) : Buffer.concat([waiting, bytes])
      while (waiting.length >= lengthBytes) {
        const length = waiting.readUInt32BE(0)
        if (length > blockBytesMax)
          throw new MillraceError(
            'ILLEGAL_ARGUMENT',
            `A block of ${length} bytes was announced; at most ${blockBytesMax} are taken.`,
          )
        if (waiting.length < lengthBytes + length) break
        const block = waiting.subarray(lengthBytes, lengthBytes + length)
        waiting = waiting.subarray(lengthBytes + length)
        // How many records it holds is known only once it is read. Waiting here is the pause of the sender.
        await this.storeBytes({ bytes: block, records: 1 })
      }
    }
  }

  override readBlock(bytes: Uint8Array): Iterable<readonly T[]> {
    return [deserializeRecords(bytes) as T[]]
  }
}
