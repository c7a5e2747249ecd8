/** The stream MQTT.js talks through: a socket read into one buffer of ours, so that messages are taken out before MQTT.js sees the rest. */
import { connect as connectTcp, type Socket, type TcpSocketConnectOpts } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { BrokerAddress } from './broker-url.js'
import type { MqttTlsOptions } from './mqtt-options.js'
import { READ_BYTES, ReadBuffers } from './read-buffers.js'

/** What takes the bytes of a connection. */
export interface FrameReader {
  /** Takes whole frames from bytes[start,end), which stay valid during the call only, and returns where it stopped. A throw ends the connection. */
  read(bytes: Buffer, start: number, end: number): number
  /** True when the last `read` took the buffer itself: everything before the place where it stopped is the reader's from then on. */
  readonly hasKeptBuffer?: boolean
  /** Where buffers come from. */
  readonly buffers?: ReadBuffers
  /** Length of the incomplete frame `read` stopped at, 0 when not known. */
  readonly needed: number
}

export interface TapStreamOptions {
  readonly address: BrokerAddress
  readonly tls: MqttTlsOptions
  /** Makes the WebSocket stream of `ws` and `wss`. */
  readonly openWebSocket: (address: BrokerAddress, tls: MqttTlsOptions) => Duplex
  readonly reader: FrameReader
  /** The packet that tells the broker about an error of `reader` before the connection closes, or null. */
  readonly farewell: (error: unknown) => Uint8Array | null
}

/** Why a connection is not read at the moment: one bit a reason. */
export const Hold = { MEMORY: 1, UNACKNOWLEDGED: 2, RATE: 4, COALESCE: 8, STOPPING: 16, BACKLOG: 32 } as const

/** Holds that mean that something is behind. */
const BEHIND = Hold.MEMORY | Hold.UNACKNOWLEDGED | Hold.BACKLOG
const PINGREQ = Buffer.from([0xc0, 0x00])

function isPing(chunk: Uint8Array): boolean {
  return chunk.length === 2 && chunk[0] === 0xc0 && chunk[1] === 0
}

const ROOM_BYTES = 64 * 1024
/** Bytes in front of the first frame, so that a reader that keeps a buffer can write a header there. */
const HEAD_ROOM = 16

/**
 * Reads a socket into one buffer, hands whole frames to `reader`, and lets MQTT.js write. Frames for MQTT.js are given to `push` by the
 * reader's owner. `hold` stops the reading until every reason is released; bytes that TLS or a WebSocket still deliver then wait in the buffer.
 */
export class TapStream extends Duplex {
  readonly #reader: FrameReader
  readonly #farewell: (error: unknown) => Uint8Array | null
  readonly #socket: Duplex
  /** True when frames come straight from a TCP socket. */
  readonly isTcp: boolean
  readonly #buffers: ReadBuffers
  #ownBuffer: Buffer
  #buffer: Buffer
  #start = HEAD_ROOM
  #end = HEAD_ROOM
  #holds = 0
  #isDiscarding = false
  /** Set while frames of a WebSocket wait for those that follow in this turn. */
  #gathering: NodeJS.Immediate | null = null
  #behindSince: number | null = null
  #heldMs = 0
  /** PINGREQs sent, MQTT.js's own included: each is answered by one PINGRESP, in order. */
  #pings = 0
  /** Time of the last byte from the broker, in milliseconds since the epoch. */
  lastReadAt: number = Date.now()
  /** True when the broker closed the connection in order, without an error. */
  isEndedByBroker = false

  constructor(options: TapStreamOptions) {
    super({ autoDestroy: true })
    this.#reader = options.reader
    this.#farewell = options.farewell
    this.#buffers = options.reader.buffers ?? new ReadBuffers()
    this.#ownBuffer = this.#buffers.take()
    this.#buffer = this.#ownBuffer
    const { address } = options
    this.isTcp = address.transport === 'tcp'
    if (address.transport === 'tcp' || address.transport === 'tls') {
      const onread = { buffer: () => this.#room(), callback: (length: number) => this.#arrived(length) }
      this.#socket = address.transport === 'tcp' ? openTcp(address, onread) : openTls(address, options.tls, onread)
    } else {
      this.#socket = options.openWebSocket(address, options.tls)
      this.#socket.on('data', (chunk: Buffer) => this.#gather(chunk))
    }
    this.#socket.on('error', (error) => this.destroy(error))
    this.#socket.on('end', () => {
      this.isEndedByBroker = true
      this.destroy()
    })
    this.#socket.on('close', () => this.destroy())
  }

  /** Bytes written and still waiting in this process. */
  get backlog(): number {
    return this.#socket.writableLength
  }

  /** Lets the process end although the connection is open, where the transport can; `ref` takes it back. */
  unref(): void {
    ;(this.#socket as Partial<Socket>).unref?.()
  }

  ref(): void {
    ;(this.#socket as Partial<Socket>).ref?.()
  }

  /** Calls back when everything written so far has left this process. */
  whenWritten(done: () => void): void {
    if (!this.destroyed) this.#socket.once('drain', done)
  }

  /** Stops reading for this reason (see `Hold`). */
  hold(reason: number): void {
    if (this.#isDiscarding) return
    if (this.#holds === 0) this.#socket.pause()
    this.#holds |= reason
    if ((reason & BEHIND) !== 0) this.#behindSince ??= performance.now()
  }

  /** Takes back a reason; when none is left, frames that wait are read, then the socket. */
  release(reason: number): void {
    if ((this.#holds & reason) === 0) return
    this.#holds &= ~reason
    if (this.#behindSince !== null && (this.#holds & BEHIND) === 0) {
      this.#heldMs += performance.now() - this.#behindSince
      this.#behindSince = null
    }
    if (this.#holds !== 0 || this.destroyed) return
    this.#read()
    if (this.#holds === 0 && !this.destroyed) this.#socket.resume()
  }

  get holds(): number {
    return this.#holds
  }

  /** Milliseconds it was held because something was behind. */
  get heldMs(): number {
    return this.#heldMs + (this.#behindSince === null ? 0 : performance.now() - this.#behindSince)
  }

  /** Writes whole packets past MQTT.js. Ignored once the connection is gone. */
  writePackets(packets: Uint8Array): void {
    if (!this.destroyed) this.#socket.write(packets)
  }

  /** Writes whole packets and a PINGREQ behind them, at once; returns which ping of this connection that is, from 1. Its PINGRESP says that the packets have arrived. */
  writeWithPing(packets: readonly Uint8Array[]): number {
    this.writePackets(Buffer.concat([...packets, PINGREQ]))
    return ++this.#pings
  }

  /** From now on what comes is thrown away: the connection is being closed and only its end is waited for. */
  discard(): void {
    this.#isDiscarding = true
    this.#start = this.#end
    this.#holds = 0
    this.#socket.resume()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (isPing(chunk)) this.#pings++
    this.#socket.write(chunk, done)
  }

  /** MQTT.js writes a packet in pieces between cork and uncork: one write keeps it whole beside our acknowledgements. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    for (const { chunk } of chunks) if (isPing(chunk)) this.#pings++
    this.#socket.write(Buffer.concat(chunks.map((one) => one.chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  /** Where the next bytes go: behind those not read yet, moved to the front, or into a larger buffer, when there is little room left. */
  #room(): Buffer {
    const waiting = this.#end - this.#start
    if (waiting === 0) {
      this.#buffer = this.#ownBuffer
      this.#start = HEAD_ROOM
      this.#end = HEAD_ROOM
    } else if (
      this.#buffer.length - this.#end < ROOM_BYTES ||
      this.#reader.needed > this.#buffer.length - this.#start
    ) {
      const needed = HEAD_ROOM + Math.max(this.#reader.needed, waiting) + ROOM_BYTES
      const next =
        needed <= READ_BYTES
          ? this.#ownBuffer
          : needed <= this.#buffer.length
            ? this.#buffer
            : Buffer.allocUnsafeSlow(needed)
      this.#moveTo(next)
    }
    return this.#buffer.subarray(this.#end)
  }

  /** Moves what waits to the front of `buffer`. */
  #moveTo(buffer: Buffer): void {
    this.#end = HEAD_ROOM + this.#buffer.copy(buffer, HEAD_ROOM, this.#start, this.#end)
    this.#buffer = buffer
    this.#start = HEAD_ROOM
  }

  #arrived(length: number): boolean {
    this.lastReadAt = Date.now()
    this.#end += length
    if (this.#holds === 0) this.#read()
    return this.#holds === 0
  }

  /** A WebSocket brings a message at a time, often of one packet: those of one turn of the event loop are read together. Its end comes in a later one. */
  #gather(chunk: Buffer): void {
    this.lastReadAt = Date.now()
    for (let at = 0; at < chunk.length; ) {
      const length = chunk.copy(this.#room(), 0, at)
      at += length
      this.#end += length
    }
    if (this.#end - this.#start >= ROOM_BYTES) this.#readGathered()
    else this.#gathering ??= setImmediate(() => this.#readGathered())
  }

  #readGathered(): void {
    clearImmediate(this.#gathering ?? undefined)
    this.#gathering = null
    if (this.#holds === 0 && !this.destroyed) this.#read()
  }

  #read(): void {
    if (this.#isDiscarding) this.#start = this.#end
    if (this.#start === this.#end) return
    try {
      this.#start = this.#reader.read(this.#buffer, this.#start, this.#end)
      if (this.#reader.hasKeptBuffer === true) this.#replaceBuffer()
    } catch (error) {
      if (this.#reader.hasKeptBuffer === true) {
        this.#start = this.#end
        this.#replaceBuffer()
      }
      this.giveUp(error as Error)
    }
  }

  #replaceBuffer(): void {
    if (this.#buffer === this.#ownBuffer) this.#ownBuffer = this.#buffers.take()
    const waiting = HEAD_ROOM + this.#end - this.#start
    this.#moveTo(waiting <= READ_BYTES ? this.#ownBuffer : Buffer.allocUnsafeSlow(waiting))
  }

  /** Says why, reads nothing more, and closes when that is written, or soon in any case. */
  giveUp(error: Error): void {
    if (this.#isDiscarding) return
    const packet = this.#farewell(error)
    this.discard()
    if (packet === null) return void this.destroy(error)
    const soon = setTimeout(() => this.destroy(error), 500)
    this.#socket.end(packet, () => {
      clearTimeout(soon)
      this.destroy(error)
    })
  }
}

interface OnRead {
  buffer: () => Buffer
  callback: (length: number) => boolean
}

function openTcp(address: BrokerAddress, onread: OnRead): Socket {
  const options: TcpSocketConnectOpts = { host: address.host, port: address.port, noDelay: true, onread }
  return connectTcp(options)
}

function openTls(address: BrokerAddress, tls: MqttTlsOptions, onread: OnRead): Socket {
  const isName = !/^[\d.]+$|:/.test(address.host)
  const options = {
    ...(isName ? { servername: address.host } : {}),
    ...tls,
    host: address.host,
    port: address.port,
    onread,
  }
  const socket = connectTls(options)
  socket.setNoDelay(true)
  return socket
}
