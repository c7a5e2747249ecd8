/** EmbeddedBroker: an MQTT broker in this process, for tests, demos and the first five minutes. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { MillraceError, toError } from '../errors.js'

/** Settings of an `EmbeddedBroker`. */
export interface EmbeddedBrokerOptions {
  /** @default a free port */
  readonly port?: number
  /** The address to listen on. @default '127.0.0.1' */
  readonly host?: string
  /** When given, clients must log in with these. */
  readonly username?: string
  readonly password?: string
}

/** The part of aedes used here: its types are there only when it is installed. */
interface Aedes {
  handle(socket: Socket): unknown
  publish(packet: object, done: (error?: Error) => void): void
  close(done: () => void): void
  authenticate: unknown
  readonly connectedClients: number
}

/**
 * A broker in this process, by the package `aedes`: MQTT 3.1.1, QoS 0 – 2, sessions and retained messages in memory. It has no shared
 * subscriptions and no limit on messages in flight. Use Mosquitto or another real broker for anything that matters.
 *
 * ```ts
 * import { EmbeddedBroker } from 'millrace/testing'
 * const broker = await EmbeddedBroker.start()
 * broker.url // 'mqtt://127.0.0.1:40123'
 * await broker.publish('rupesh/gpiotopic', 'hello world')
 * await broker.close()
 * ```
 */
export class EmbeddedBroker {
  readonly #aedes: Aedes
  readonly #server: Server
  readonly #sockets: Set<Socket>
  /** Where clients connect: `mqtt://127.0.0.1:PORT`. */
  readonly url: string
  readonly port: number

  private constructor(aedes: Aedes, server: Server, sockets: Set<Socket>, host: string) {
    this.#aedes = aedes
    this.#server = server
    this.#sockets = sockets
    this.port = (server.address() as AddressInfo).port
    this.url = `mqtt://${host.includes(':') ? `[${host}]` : host}:${this.port}`
  }

  /** Starts a broker. Rejects with `UNSUPPORTED` when the package aedes is not installed, and with the system's error when the port is taken. */
  static async start(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
    const aedes = await createAedes()
    const { username, password, host = '127.0.0.1', port = 0 } = options
    if (username !== undefined || password !== undefined) {
      aedes.authenticate = (
        _client: unknown,
        user: string | undefined,
        secret: Buffer | undefined,
        done: (error: unknown, ok: boolean) => void,
      ) => {
        const isRight = user === username && (secret?.toString() ?? undefined) === password
        done(isRight ? null : Object.assign(new Error('Bad user name or password'), { returnCode: 4 }), isRight)
      }
    }
    const sockets = new Set<Socket>()
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      aedes.handle(socket)
    })
    server.listen(port, host)
    try {
      await once(server, 'listening')
    } catch (error) {
      await new Promise<void>((resolve) => aedes.close(resolve))
      throw error
    }
    return new EmbeddedBroker(aedes, server, sockets, host)
  }

  /** Clients connected now. */
  get clients(): number {
    return this.#aedes.connectedClients
  }

  /** Publishes a message as the broker itself; resolves when it has been handed to every subscriber. */
  publish(
    topic: string,
    payload: string | Uint8Array,
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {},
  ): Promise<void> {
    const packet = {
      cmd: 'publish',
      topic,
      payload: Buffer.from(payload as string),
      qos: options.qos ?? 1,
      retain: options.retain ?? false,
      dup: false,
    }
    return new Promise((resolve, reject) => {
      this.#aedes.publish(packet, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Cuts every connection, as a network failure would; sessions stay. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Disconnects every client and stops listening. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    await new Promise<void>((resolve) => this.#aedes.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

async function createAedes(): Promise<Aedes> {
  // Not a literal, so that neither the compiler nor a bundler insists on the optional package.
  const name = 'aedes'
  try {
    const { Aedes } = (await import(name)) as { Aedes: { createBroker(options: object): Promise<Aedes> } }
    return await Aedes.createBroker({ concurrency: 1000, queueLimit: 1_000_000 })
  } catch (error) {
    throw new MillraceError(
      'UNSUPPORTED',
      `EmbeddedBroker needs the package aedes, which could not be loaded (${toError(error).message.split('\n')[0]}). Install it with npm install aedes, or start a broker such as Mosquitto.`,
      { cause: error },
    )
  }
}
