/** A job as a module describes it: a name, a batch interval and a graph. Describing does nothing; `run` and the command line do. */
import { MillraceError } from './errors.js'
import type { StreamingContext } from './streaming-context.js'
import { type Duration, toMilliseconds } from './time.js'

export interface JobOptions {
  /** The name of the job, in logs, on the page, and in the ids of its MQTT clients. */
  readonly name: string
  /** How long one batch is: milliseconds, or text such as `'1s'`. */
  readonly batchInterval: Duration
  /** Settings of the job itself; `--conf` and `run` do not override them, a config file and the environment are weaker still. */
  readonly conf?: Readonly<Record<string, unknown>>
}

/** What `defineJob` returns and a job module exports as its default. */
export interface Job extends JobOptions {
  readonly [jobBrand]: true
  /** Describes the graph on a fresh context. Called once in every process and thread that runs the job. */
  readonly build: (ssc: StreamingContext) => void
}

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
 * Throws `ILLEGAL_ARGUMENT` for a missing name and `INVALID_DURATION` for a batch interval that is none.
 */
export function defineJob(options: JobOptions, build: (ssc: StreamingContext) => void): Job {
  if (typeof options.name !== 'string' || options.name === '') {
    throw new MillraceError('ILLEGAL_ARGUMENT', `A job needs a name, not ${JSON.stringify(options.name)}.`)
  }
  toMilliseconds(options.batchInterval)
  return { ...options, [jobBrand]: true, build }
}

/** True for what `defineJob` returned, from any copy of this library. */
export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && (value as { [jobBrand]?: unknown })[jobBrand] === true
}
