/** Runs one batch of an earlier run again, from what its checkpoint directory holds. */
import { batchError } from './scheduler/job-scheduler.js'
import type { RetainedBatches } from './scheduler/retained-batches.js'
import type { StreamingContext } from './streaming-context.js'
import type { Time } from './time.js'

export interface ReplayOptions {
  readonly batches: RetainedBatches
  readonly time: Time
  /** Leave out what is not `print`: functions that write to other systems. */
  readonly printOnly: boolean
}

/**
 * Runs the outputs of the batch of `time` on a context that is described and not started, one after another, and stops it.
 * Rejects with what `RetainedBatches.jobsAt` throws, and with `BATCH_FAILED` when an output fails.
 */
export async function replayOn(ssc: StreamingContext, { batches, time, printOnly }: ReplayOptions): Promise<void> {
  const { graph, sparkContext } = ssc
  try {
    graph.close('starting')
    for (const job of await batches.jobsAt(time, graph, ssc.engine)) {
      if (printOnly && job.name !== 'print') continue
      const { outputId, name, callSite } = job
      const run = (): Promise<void> => job.run()
      try {
        await sparkContext.jobs.inBatch({ batchTime: time, outputId, name, callSite }, new Map(), run)
      } catch (thrown) {
        throw batchError(thrown, job)
      }
    }
  } finally {
    await ssc.stop()
  }
}
