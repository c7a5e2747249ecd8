/** Builds the graph of a job module in an executor thread or a process of Spark's; engines find it here by address, as they run below this layer. */
import { fileURLToPath } from 'node:url'
import { Conf } from './conf.js'
import { describeGraph } from './engine/graph-functions.js'
import {
  type GraphSource,
  type LoadedGraph,
  type LoadOptions,
  RecordingEngine,
  recordedAccess,
} from './engine/recording-engine.js'
import { MillraceError, toError } from './errors.js'
import { isJob } from './job.js'
import { StreamingContext } from './streaming-context.js'

interface ModuleArgs {
  /** The address of the job module. */
  readonly module: string
}

/** Where threads and processes find the graph of the job that a module exports by default. */
export function moduleSource(module: URL): GraphSource {
  return { module: import.meta.url, args: { module: module.href } satisfies ModuleArgs, job: module.href }
}

/** The graph of the job. Throws `JOB_MODULE_INVALID` when the module exports none, `JOB_MODULE_FAILED` when it cannot be loaded. */
export async function loadGraph(args: unknown, options: LoadOptions): Promise<LoadedGraph> {
  const { module } = args as ModuleArgs
  return graphOf(await importDefault(module), options, fileURLToPath(module))
}

/** The graph of a job that `path` exports by default. Throws `JOB_MODULE_INVALID` when it is none. */
export async function graphOf(job: unknown, { parallelism, conf }: LoadOptions, path: string): Promise<LoadedGraph> {
  if (!isJob(job)) {
    throw new MillraceError(
      'JOB_MODULE_INVALID',
      `${path} exports no job. Expected: export default defineJob({ name, batchInterval }, (ssc) => { … })`,
      { details: { path } },
    )
  }
  const engine = new RecordingEngine(parallelism)
  const parts = { engine: () => engine, ambient: [], outside: recordedAccess }
  const options = { appName: job.name, batchInterval: job.batchInterval, conf: Conf.from(conf) }
  const ssc = new StreamingContext(options, parts)
  try {
    const { functions, result } = describeGraph(() => job.build(ssc))
    await Promise.race([result, engine.acted])
    return { graph: ssc.graph, described: functions, receivers: ssc.receivers }
  } catch (thrown) {
    throw failedHere('The function that describes the job', thrown, path)
  }
}

async function importDefault(module: string): Promise<unknown> {
  try {
    return ((await import(module)) as { default?: unknown }).default
  } catch (thrown) {
    throw failedHere('The job module', thrown, fileURLToPath(module))
  }
}

/** What the driver could do, and a worker could not. */
function failedHere(what: string, thrown: unknown, path: string): MillraceError {
  // An error of ours says what is wrong by itself.
  if (MillraceError.is(thrown)) return thrown
  const cause = toError(thrown)
  return new MillraceError(
    'JOB_MODULE_FAILED',
    `${what} failed in a worker, not in the driver: ${cause.message}. It must do the same wherever it is loaded.`,
    { cause, details: { path } },
  )
}
