/** Publishes at QoS 1 as fast as a broker takes it, with no library between: so that a test's publisher does not use up the machine. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Messages on their way to the broker without its acknowledgement. */
const WINDOW = 2000

export class RawPublisher {
  readonly #port: number
  readonly #topic: Buffer
  #socket: Socket | null = null
  #nextId = 1
  #unacknowledged = 0
  #waiters: (() => void)[] = []

  constructor(port: number, topic: string) {
    this.#port = port
    this.#topic = Buffer.from(topic)
  }

  /** Connects anew, with a session of its own. */
  async connect(): Promise<void> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const id = Buffer.from(`publisher-${process.hrtime.bigint()}`)
    const body = Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 0, 0, id.length]), id])
    socket.write(Buffer.concat([Buffer.from([0x10, body.length]), body]))
    await once(socket, 'data')
    this.#unacknowledged = 0
    // From here on only PUBACKs come, four bytes each; how reads cut them does not matter for counting.
    let bytes = 0
    socket.on('data', (chunk) => {
      bytes += chunk.length
      this.#unacknowledged -= Math.floor(bytes / 4)
      bytes %= 4
      this.#wake()
    })
    socket.on('error', () => {})
    this.#socket = socket
  }

  /** Publishes the payloads; resolves when the broker has acknowledged all but some of them. */
  async publish(payloads: readonly string[]): Promise<void> {
    while (this.#unacknowledged >= WINDOW) await this.#acknowledged()
    this.#unacknowledged += payloads.length
    this.#socket!.write(Buffer.concat(payloads.map((payload) => this.#frame(Buffer.from(payload)))))
  }

  /** Resolves when the broker has acknowledged everything. */
  async finished(): Promise<void> {
    while (this.#unacknowledged > 0) await this.#acknowledged()
  }

  async close(): Promise<void> {
    this.#socket?.end(Buffer.from([0xe0, 0]))
    this.#socket?.destroy()
  }

  #acknowledged(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  #frame(payload: Buffer): Buffer {
    const id = this.#nextId
    this.#nextId = id === 65_535 ? 1 : id + 1
    const length = 2 + this.#topic.length + 2 + payload.length
    const remaining = length < 128 ? [length] : [(length & 127) | 128, length >> 7]
    return Buffer.concat([
      Buffer.from([0x32, ...remaining, this.#topic.length >> 8, this.#topic.length & 255]),
      this.#topic,
      Buffer.from([id >> 8, id & 255]),
      payload,
    ])
  }
}
