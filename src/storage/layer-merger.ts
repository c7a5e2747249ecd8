/** Merges layers of saved state into one, in a thread of its own. */
import { Worker } from 'node:worker_threads'
import { type ErrorData, errorFromData, MillraceError } from '../errors.js'

export interface MergeRequest {
  /** The layers, the whole first. */
  readonly directories: readonly string[]
  readonly target: string
  readonly partitions: number
  /** The records are columns of states; else pairs. */
  readonly areColumns: boolean
}

/** What the thread says at its end. */
export interface MergeResult {
  readonly error: ErrorData | null
}

export class LayerMerger {
  #worker: Worker | null = null

  /** Resolves when the merged state is on disk. Rejects with what reading or writing it threw, `INTERNAL` when the thread was ended. One at a time. */
  async merge(request: MergeRequest): Promise<void> {
    const worker = new Worker(new URL('./merge-thread.js', import.meta.url), {
      name: 'millrace-merge',
      workerData: request,
    })
    this.#worker = worker
    try {
      const result = await new Promise<MergeResult>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
        worker.once('exit', () => reject(new MillraceError('INTERNAL', 'The merge of saved state was ended.')))
      })
      if (result.error !== null) throw errorFromData(result.error)
    } finally {
      this.#worker = null
    }
  }

  /** Ends a merge that is under way; what it had written is of no use. */
  async stop(): Promise<void> {
    await this.#worker?.terminate()
  }
}
