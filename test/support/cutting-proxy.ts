/** A TCP proxy between a client and a broker that cuts connections: now, after so many bytes, or each time so many have passed. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class CuttingProxy {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Connections cut so far. */
  cuts = 0
  /** Bytes from the broker to clients. */
  bytesDown = 0
  #cutBytes: number | null = null
  #untilCut = Number.POSITIVE_INFINITY

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
  }

  static async start(brokerPort: number): Promise<CuttingProxy> {
    const server = createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new CuttingProxy(server, (server.address() as AddressInfo).port)
    server.on('connection', (socket) => proxy.#join(socket, brokerPort))
    return proxy
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`
  }

  /** Cuts each time about so many bytes (half to one and a half times) have passed in either direction; null for never. */
  cutEvery(bytes: number | null): void {
    this.#cutBytes = bytes
    this.#rewind()
  }

  /** Cuts once, when so many more bytes have passed in either direction: in the middle of a packet as likely as not. */
  cutAfter(bytes: number): void {
    this.#cutBytes = null
    this.#untilCut = bytes
  }

  /** Cuts every connection now, as a broken network does: without a goodbye, losing what is under way. */
  cut(): void {
    this.cuts += 1
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#rewind()
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #rewind(): void {
    this.#untilCut = this.#cutBytes === null ? Number.POSITIVE_INFINITY : this.#cutBytes * (0.5 + Math.random())
  }

  #join(client: Socket, brokerPort: number): void {
    const broker = connect({ port: brokerPort, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (chunk: Buffer) => {
        if (from === broker) this.bytesDown += chunk.length
        this.#untilCut -= chunk.length
        if (this.#untilCut <= 0) {
          this.cut()
          return
        }
        if (!to.write(chunk)) from.pause()
      })
      from.on('drain', () => to.resume())
      from.on('end', () => to.end())
      from.on('error', () => to.resetAndDestroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }
}
