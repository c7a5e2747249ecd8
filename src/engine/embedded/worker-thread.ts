/** One thread of the engine, whatever runs in it: started, spoken to, and at its end told why it ended. */
import { Worker } from 'node:worker_threads'
import { MillraceError } from '../../errors.js'

export interface WorkerThreadOptions<Out> {
  /** What runs in it, as errors name it: `executor thread`. */
  readonly kind: string
  readonly id: number
  readonly entry: URL
  readonly start: unknown
  /** The heap of the thread, in bytes, or null for what Node gives. */
  readonly heapBytes: number | null
  readonly onMessage: (message: Out) => void
  /** Called once, after the last message. */
  readonly onLost: (error: MillraceError) => void
}

export class WorkerThread<In, Out> {
  readonly #worker: Worker
  #fault: Error | null = null
  /** Why the driver ended it, or null. */
  #reason: MillraceError | null = null

  constructor({ kind, id, entry, start, heapBytes, onMessage, onLost }: WorkerThreadOptions<Out>) {
    this.#worker = new Worker(entry, {
      name: `millrace-${kind.split(' ')[0]}-${id}`,
      workerData: start,
      ...(heapBytes === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: Math.ceil(heapBytes / 2 ** 20) } }),
    })
    this.#worker.on('message', onMessage)
    this.#worker.on('error', (error: Error) => {
      this.#fault = error
    })
    this.#worker.on('exit', (code) => onLost(this.#reason ?? lossOf(kind, id, this.#fault, code)))
  }

  post(message: In, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  /** Ends the thread, even in the middle of an endless loop; `onLost` gets the reason. */
  async terminate(reason: MillraceError): Promise<void> {
    this.#reason ??= reason
    await this.#worker.terminate()
  }
}

function lossOf(kind: string, id: number, fault: Error | null, exitCode: number): MillraceError {
  const why =
    fault === null
      ? `it called process.exit(${exitCode})`
      : (fault as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? 'it ran out of memory'
        : `of an error nobody caught: ${fault.message}`
  return new MillraceError('EXECUTOR_LOST', `The ${kind} ${id} ended: ${why}.`, {
    ...(fault === null ? {} : { cause: fault }),
    details: { thread: id, exitCode },
  })
}
