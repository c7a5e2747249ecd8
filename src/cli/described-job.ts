/** A job that is described and not run: what `graph` and `lint` look at. */
import { RecordingEngine } from '../engine/recording-engine.js'
import type { Job } from '../job.js'
import { describe } from '../run.js'
import type { StreamingContext } from '../streaming-context.js'

/** What describing a job gave. */
export interface DescribedOnly {
  /** Its graph is complete. */
  readonly ssc: StreamingContext
  /** True if it has no streams and asked for an action: a batch job. */
  readonly isBatch: boolean
}

/** Describes the job. Actions are not run: what follows one in a batch job is not looked at. */
export async function describeOnly(job: Job): Promise<DescribedOnly> {
  const engine = new RecordingEngine(1)
  const { ssc, built } = describe(job, {}, { engine: () => engine })
  const hasActed = await Promise.race([engine.acted.then(() => true), Promise.resolve(built).then(() => false)])
  return { ssc, isBatch: hasActed && ssc.graph.nodes.length === 0 }
}
