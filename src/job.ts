/** A job as a module describes it: a name, a batch interval and a graph. Describing does nothing; `run` and the command line do. */
import { assertFunction, assertOptions } from './arguments.js'
import { MillraceError } from './errors.js'
import type { StreamingContext } from './streaming-context.js'
import { type Duration, toMilliseconds } from './time.js'

export interface JobOptions {
  /** The name of the job, in logs, on Spark's page, and in the ids of its MQTT clients. */
  readonly name: string
  /** How long one batch is: milliseconds, or text such as `'1s'`. A job without streams has no use for it. @default '1s' */
  readonly batchInterval?: Duration
  /** Settings of the job itself; `--conf` and `run` do not override them, a config file and the environment are weaker still. */
  readonly conf?: Readonly<Record<string, unknown>>
}

/** What `defineJob` returns and a job module exports as its default. */
export interface Job extends JobOptions {
  readonly [jobBrand]: true
  readonly batchInterval: Duration
  readonly build: BuildJob
}

/** Describes the graph on a fresh context. Called once in every process and thread that runs the job. */
export type BuildJob = (ssc: StreamingContext) => void | Promise<void>

/** Registered, so that a job made by another copy of this library is still known as one. */
export const jobBrand: unique symbol = Symbol.for('millrace.job') as typeof jobBrand

/**
 * Describes a job. Make it the default export of a module; every worker loads that module and builds the same graph, so
 * `build` must do nothing but describe: no input or output, nothing that differs from one call to the next.
 *
 * ```ts
 * import { defineJob, MqttStringReceiver } from 'millrace'
 *
 * export default defineJob({ name: 'word-count', batchInterval: '1s' }, (ssc) => {
 *   const lines = ssc.receiverStream(new MqttStringReceiver('mqtt://127.0.0.1:1883', 'plant/log'))
 *   lines.flatMap((line) => line.split(' ')).map((word) => [word, 1]).reduceByKey((a, b) => a + b).print()
 * })
 * ```
 *
 * A job without streams is a batch job: an async function that describes RDDs and awaits actions on them. The job is done when
 * its promise is. Functions given to RDDs before the first `await` run in the executors, later ones in the driver; so describe
 * first, then act.
 *
 * ```ts
 * import { defineJob } from 'millrace'
 *
 * export default defineJob({ name: 'top-words' }, async ({ sparkContext }) => {
 *   const words = sparkContext.textFile('words').flatMap((line) => line.split(' '))
 *   const counts = words.map((word) => [word, 1]).reduceByKey((a, b) => a + b)
 *   for (const [word, count] of await counts.top(10, ([, a], [, b]) => a - b)) console.log(word, count)
 * })
 * ```
 *
 * Throws `ILLEGAL_ARGUMENT` for a missing name or function and for options there are not, and `INVALID_DURATION` for a batch interval that is none.
 */
export function defineJob(options: JobOptions, build: BuildJob): Job {
  assertOptions(options, 'defineJob', ['name', 'batchInterval', 'conf'])
  if (typeof options.name !== 'string' || options.name === '') {
    throw new MillraceError('ILLEGAL_ARGUMENT', `A job needs a name, not ${JSON.stringify(options.name)}.`)
  }
  assertFunction(build, 'defineJob')
  const { batchInterval = '1s' } = options
  toMilliseconds(batchInterval)
  return { ...options, batchInterval, [jobBrand]: true, build }
}

/** True for what `defineJob` returned, from any copy of this library. */
export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && (value as { [jobBrand]?: unknown })[jobBrand] === true
}
