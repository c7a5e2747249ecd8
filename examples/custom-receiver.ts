/** A receiver of one's own, without MQTT: lines from a TCP server, connected again whenever the connection is lost. */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { defineJob, Receiver, StorageLevel } from 'millrace'

class LineReceiver extends Receiver<string> {
  readonly #port: number
  #socket: Socket | null = null

  constructor(port: number) {
    super(StorageLevel.MEMORY_ONLY)
    this.#port = port
  }

  onStart(): void {
    const socket = connect(this.#port, '127.0.0.1')
    this.#socket = socket
    createInterface({ input: socket }).on('line', (line) => this.store(line))
    socket.on('error', (error) => this.reportError('The connection failed', error))
    socket.on('close', () => {
      if (!this.isStopped()) this.restart('The connection was closed')
    })
  }

  onStop(): void {
    this.#socket?.destroy()
  }
}

export default defineJob({ name: 'lines', batchInterval: '1s' }, (ssc) => {
  const lines = ssc.receiverStream(new LineReceiver(Number(process.env.PORT ?? 9999)))
  lines.count().print()
  lines.map((line) => line.toUpperCase()).print()
})
