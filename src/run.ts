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
 * Builds the job's graph and starts it; resolves to the running context. A job without streams, which runs actions on RDDs
 * instead, has been done by then and its context is stopped.
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
  const { ssc, built } = describe(job, options, parts)
  try {
    await built
    if (!isBatchJob(ssc, built)) {
      await ssc.start()
      return ssc
    }
    await jobsDone(ssc)
  } catch (error) {
    await ssc.stop()
    throw error
  }
  await ssc.stop()
  return ssc
}

/** A context on which a job is described. @internal */
export interface DescribedJob {
  /** Not started. */
  readonly ssc: StreamingContext
  /** What the job's function returned: its graph is complete when that is done. */
  readonly built: void | Promise<void>
}

/** Builds a job's graph, and starts nothing. @internal */
export function describe(job: Job, options: RunOptions = {}, parts: StreamingContextParts = {}): DescribedJob {
  const conf = Conf.from({ source: codeSource, values: job.conf ?? {} }, ...(options.conf ?? []))
  const master = options.master === undefined ? {} : { master: options.master }
  const source = options.module === undefined ? {} : { source: moduleSource(addressOf(options.module)) }
  const given = { appName: job.name, batchInterval: job.batchInterval, conf, ...master }
  const ssc = new StreamingContext(given, { ...source, ...parts })
  return { ssc, built: describeGraph(() => job.build(ssc)).result }
}

/** True for a job that works on RDDs only: it has no streams, and it waited for something or still runs actions. */
function isBatchJob({ graph, sparkContext }: StreamingContext, built: unknown): boolean {
  return graph.nodes.length === 0 && (built instanceof Promise || sparkContext.jobs.isBusy)
}

/** Resolves when the context runs no action, and none has followed the last one. @internal */
export async function jobsDone({ sparkContext }: StreamingContext): Promise<void> {
  do {
    await sparkContext.jobs.idle()
    await new Promise((resolve) => setImmediate(resolve))
  } while (sparkContext.jobs.isBusy)
}

function addressOf(module: string | URL): URL {
  if (module instanceof URL) return module
  return /^file:/.test(module) ? new URL(module) : pathToFileURL(module)
}
