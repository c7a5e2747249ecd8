/** Runs a job that a module describes. */
import { pathToFileURL } from 'node:url'
import { Conf, type ConfLayer, codeSource } from './conf.js'
import type { StreamingContextParts } from './context-options.js'
import { describeGraph } from './engine/graph-functions.js'
import type { Job } from './job.js'
import { StreamingContext } from './streaming-context.js'
import { moduleSource } from './worker-graph.js'

export interface RunOptions {
  /** Where the job runs. @default the job's `spark.master`, else 'local' */
  readonly master?: string
  /**
   * The address of the JavaScript module whose default export the job is, for masters that run functions in threads
   * (`local[N]`): each loads it. A path counts from the working directory.
   */
  readonly module?: string | URL
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
  const source = options.module === undefined ? {} : { source: moduleSource(addressOf(options.module)) }
  const given = { appName: job.name, batchInterval: job.batchInterval, conf, ...master }
  const ssc = new StreamingContext(given, { ...source, ...parts })
  describeGraph(() => job.build(ssc))
  return ssc
}

function addressOf(module: string | URL): URL {
  if (module instanceof URL) return module
  return /^file:/.test(module) ? new URL(module) : pathToFileURL(module)
}
