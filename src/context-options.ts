/** What a StreamingContext is made of, the states it goes through, and what a stop of it did. */
import { assertOptions, kindOf } from './arguments.js'
import type { Conf, ConfLayer } from './conf.js'
import type { Engine } from './engine/engine.js'
import type { GraphSource } from './engine/recording-engine.js'
import type { EngineSetup } from './engines.js'
import { MillraceError } from './errors.js'
import type { Log } from './log.js'
import type { OutsideAccess } from './rdd/outside-access.js'
import type { Clock, Duration } from './time.js'

export interface StreamingContextOptions {
  /** The name of the job, in logs and on Spark's page. */
  readonly appName: string
  /** How long one batch is: milliseconds, or text such as `'1s'`. */
  readonly batchInterval: Duration
  /** Where the job runs. A script can use `local`; other masters need a job module (see `defineJob`). @default 'local' */
  readonly master?: string
  /** Spark's configuration keys and Millrace's own; stronger than a configuration file and the environment. */
  readonly conf?: Conf | Readonly<Record<string, unknown>>
}

/** Throws `ILLEGAL_ARGUMENT` for a missing name and for options there are not. @internal */
export function checkContextOptions(options: StreamingContextOptions): void {
  assertOptions(options, 'StreamingContext', ['appName', 'batchInterval', 'master', 'conf'])
  if (typeof options.appName !== 'string' || options.appName === '') {
    throw new MillraceError('ILLEGAL_ARGUMENT', `A StreamingContext needs an appName, not ${kindOf(options.appName)}.`)
  }
}

/** Whatever a context takes from outside that is not an option of its user's. @internal */
export interface StreamingContextParts {
  readonly engine?: (setup: EngineSetup) => Engine
  readonly clock?: Clock
  readonly log?: Log
  /** Settings from around the process, strongest first. @default those of the command line, the file and the environment */
  readonly ambient?: readonly ConfLayer[]
  /** Where other threads and processes find the graph this context is being given. */
  readonly source?: GraphSource
  /** Files and commands. @default those of this machine */
  readonly outside?: OutsideAccess
}

export type StreamingContextState = 'INITIALIZED' | 'ACTIVE' | 'STOPPED'

/** What a stop did. */
export interface StopResult {
  /** True if every batch that had received data was processed. */
  readonly graceful: boolean
  /** True if a graceful stop reached its deadline (`spark.streaming.gracefulStopTimeout`) before everything was processed. */
  readonly timedOut: boolean
  /** Batches completed during the life of the context. */
  readonly completedBatches: number
  /** Batches left out because they failed, under the policy `skip`. */
  readonly skippedBatches: number
  /** Batches that were begun, or waited, and are not completed. With a checkpoint they run at the next start. */
  readonly unfinishedBatches: number
  /** True if something received has not been processed. With a checkpoint it is at the next start; without one it is gone. */
  readonly hasUnprocessedInput: boolean
}

/** How a context is stopped. */
export interface StopOptions {
  /** First process everything that was received. @default false */
  readonly graceful?: boolean
  /** Stop the SparkContext as well: no more jobs then. @default `spark.streaming.stopSparkContextByDefault`, true unless set */
  readonly stopSparkContext?: boolean
}

/** How a checkpoint directory is treated. */
export interface CheckpointOptions {
  /** Begin anew, and put the directory aside, when what is in it cannot be read. @default false: the start rejects with what is wrong */
  readonly createOnError?: boolean
}
