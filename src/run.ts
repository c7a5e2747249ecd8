/** Runs a job that a module describes. */
import { Conf, type ConfLayer, codeSource } from './conf.js'
import type { Job } from './job.js'
import { StreamingContext, type StreamingContextParts } from './streaming-context.js'

export interface RunOptions {
  /** Where the job runs. @default the job's `spark.master`, else 'local' */
  readonly master?: string
  /** Settings weaker than the job's own, strongest first: `--conf`, a config file, the environment. */
  readonly conf?: readonly (ConfLayer | Readonly<Record<string, unknown>>)[]
}

/**
 * Builds the job's graph and starts it; resolves to the running context.
 *
 * ```ts
 * import { defineJob, run } from 'millrace'
 * const job = defineJob({ name: 'numbers', batchInterval: '100ms' }, (ssc) => ssc.queueStream([[1, 2], [3]]).print())
 * const ssc = await run(job)
 * await ssc.stop({ graceful: true })
 * ```
 */
export async function run(
  job: Job,
  options: RunOptions = {},
  parts: StreamingContextParts = {},
): Promise<StreamingContext> {
  const ssc = describe(job, options, parts)
  await ssc.start()
  return ssc
}

/** A context on which the job's graph has been built, and which has not been started. @internal */
export function describe(job: Job, options: RunOptions = {}, parts: StreamingContextParts = {}): StreamingContext {
  const conf = Conf.from({ source: codeSource, values: job.conf ?? {} }, ...(options.conf ?? []))
  const master = options.master === undefined ? {} : { master: options.master }
  const ssc = new StreamingContext({ appName: job.name, batchInterval: job.batchInterval, conf, ...master }, parts)
  job.build(ssc)
  return ssc
}
