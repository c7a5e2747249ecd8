/** A broker whose every answer the test decides: it accepts a subscriber, sends the frames it is told to, and notes what comes back. */
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { connack } from './frames.js'

export interface ScriptedBrokerOptions {
  /** Answer to CONNECT. @default accepted, session present from the second connection on */
  readonly connack?: (version: 4 | 5, connection: number) => Buffer
  /** Told the connect flags of every CONNECT. */
  readonly onConnect?: (flags: number) => void
  /** What SUBACK says of each filter. @default 1: granted at QoS 1 */
  readonly granted?: number
  /** @default true */
  readonly answersSubscribe?: boolean
}

/** One accepted connection. */
export class ScriptedConnection extends EventEmitter {
  readonly socket: Socket
  readonly version: 4 | 5
  /** Packet ids acknowledged by PUBACK or PUBREC, in order. */
  readonly acked: number[] = []
  pings = 0
  /** Reason code of the client's DISCONNECT, or null. */
  disconnectReason: number | null = null
  isSubscribed = false

  constructor(socket: Socket, version: 4 | 5) {
    super()
    this.socket = socket
    this.version = version
  }

  /** Resolves when `condition` holds; it is looked at after every packet of the client. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this, 'packet', { signal: AbortSignal.timeout(20_000) })
  }
}

export class ScriptedBroker extends EventEmitter {
  readonly #server: Server
  readonly #options: ScriptedBrokerOptions
  readonly connections: ScriptedConnection[] = []
  readonly port: number

  private constructor(server: Server, options: ScriptedBrokerOptions) {
    super()
    this.#server = server
    this.#options = options
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket: Socket) => this.#serve(socket))
  }

  static async start(options: ScriptedBrokerOptions = {}): Promise<ScriptedBroker> {
    const server = createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ScriptedBroker(server, options)
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`
  }

  /** The n-th connection, from 0, once it is subscribed (or accepted with its session). */
  async connection(n = 0): Promise<ScriptedConnection> {
    const connection = await this.accepted(n)
    if (this.#options.answersSubscribe !== false && n === 0) await connection.until(() => connection.isSubscribed)
    return connection
  }

  /** The n-th connection, from 0, once it is accepted. */
  async accepted(n = 0): Promise<ScriptedConnection> {
    while (this.connections[n] === undefined) await once(this, 'connection', { signal: AbortSignal.timeout(20_000) })
    return this.connections[n]
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const { socket } of this.connections) socket.destroy()
  }

  #serve(socket: Socket): void {
    let waiting: Buffer = Buffer.alloc(0)
    let connection: ScriptedConnection | null = null
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      for (;;) {
        let at = 1
        let length = 0
        for (let factor = 1; at < waiting.length; factor *= 128) {
          const byte = waiting[at++]!
          length += (byte & 127) * factor
          if (byte < 128) break
        }
        if (waiting.length < 2 || waiting[at - 1]! >= 128 || waiting.length < at + length) return
        const packet = waiting.subarray(0, at + length)
        waiting = waiting.subarray(at + length)
        if (packet[0] === 0x10) connection = this.#accept(socket, packet)
        else if (connection !== null) this.#answer(connection, packet, at)
      }
    })
  }

  #accept(socket: Socket, packet: Buffer): ScriptedConnection {
    const at = packet.indexOf('MQTT') + 4
    const version = packet[at] === 5 ? 5 : 4
    this.#options.onConnect?.(packet[at + 1]!)
    const connection = new ScriptedConnection(socket, version)
    const n = this.connections.push(connection)
    socket.write(this.#options.connack?.(version, n) ?? connack(version, n > 1))
    this.emit('connection')
    return connection
  }

  #answer(connection: ScriptedConnection, packet: Buffer, at: number): void {
    const { socket, version } = connection
    switch (packet[0]! >> 4) {
      case 4:
      case 5:
        connection.acked.push(packet.readUInt16BE(at))
        break
      case 8: {
        if (this.#options.answersSubscribe === false) break
        const id = packet.subarray(at, at + 2)
        const { granted = 1 } = this.#options
        socket.write(
          Buffer.concat([
            Buffer.from([0x90, version === 5 ? 4 : 3]),
            id,
            Buffer.from(version === 5 ? [0, granted] : [granted]),
          ]),
        )
        connection.isSubscribed = true
        break
      }
      case 12:
        connection.pings += 1
        socket.write(Buffer.from([0xd0, 0]))
        break
      case 14:
        connection.disconnectReason = packet.length > at ? packet[at]! : 0
        break
      default:
    }
    connection.emit('packet')
  }
}
