/** Runs a job module of the fixtures on Spark, its batches made by hand. */
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bundleJob } from '../../dist/engine/job-bundle.js'
import { importBundle } from '../../dist/engine/job-module.js'
import { engineFor } from '../../dist/engines.js'
import type { Job } from '../../dist/job.js'
import { describe } from '../../dist/run.js'
import type { StreamingContext } from '../../dist/streaming-context.js'
import { ManualClock } from '../../dist/time.js'
import { NEWEST, sparkHome, temporaryDirectory } from './spark-driver.js'

export interface JobOnSpark<M> {
  /** The module as the driver loaded it. */
  readonly module: M
  readonly ssc: StreamingContext
  readonly clock: ManualClock
  log(): string
}

// Node maps stacks to the user's lines, as it does where a job runs, only if nobody else wants to write them.
Error.prepareStackTrace = undefined as never

/** Settings of a Spark that is to start soon, take little, and leave nothing behind. */
export const smallSpark = (): Record<string, string> => ({
  'spark.ui.enabled': 'false',
  'spark.executor.memory': '512m',
  'spark.driver.memory': '512m',
  'spark.local.dir': temporaryDirectory(),
  // Three seconds in Spark, for each stage whose place is taken by a receiver.
  'spark.locality.wait': '100ms',
  'millrace.node': process.execPath,
})

/** Describes the job of `test/spark/fixtures/<name>.ts` for Spark; with `manual`, under a clock that stands at 0. */
export async function jobOnSpark<M extends { default: Job }>(
  name: string,
  options: { master?: string; version?: string; manual?: boolean; conf?: Record<string, unknown> } = {},
): Promise<JobOnSpark<M>> {
  process.env.SPARK_HOME = await sparkHome(options.version ?? NEWEST)
  const bundle = await bundleJob(fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url)))
  const module = (await importBundle(bundle)) as unknown as M
  const clock = new ManualClock(0)
  let log = ''
  const onLog = (text: string): void => {
    log += text
  }
  const { ssc, built } = describe(
    module.default,
    {
      master: options.master ?? 'local[2]',
      module: pathToFileURL(bundle.file),
      conf: [{ 'millrace.engine': 'spark', ...smallSpark(), ...options.conf }],
    },
    { ambient: [], engine: (setup) => engineFor(setup, { onLog }), ...(options.manual === true ? { clock } : {}) },
  )
  await built
  return { module, ssc, clock, log: () => log }
}
