/** What the configuration says about crashes, failing batches and too much input, read into the parts that deal with them. */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Conf } from './conf.js'
import type { Engine } from './engine/engine.js'
import { type JobCheckpoint, openOrPutAside } from './engine/job-checkpoint.js'
import { MillraceError } from './errors.js'
import { BackPressure } from './scheduler/back-pressure.js'
import { Checkpoint } from './scheduler/checkpoint.js'
import { DeadLetters } from './scheduler/dead-letters.js'
import type { FailurePolicy } from './scheduler/job-scheduler.js'
import type { SyncMode } from './storage/write-ahead-log.js'
import { toMilliseconds } from './time.js'

/**
 * Opens the checkpoint in `directory` and gives the engine its journal; null when the job has none, or the engine keeps data
 * safe by itself. Throws `CHECKPOINT_DIRECTORY_REQUIRED` when the log is on and no directory is set, and what `Checkpoint.open`
 * throws.
 */
export async function openCheckpoint(
  conf: Conf,
  engine: Engine,
  job: {
    readonly directory: string | null
    /** Begin with a new directory when this one cannot be read. */
    readonly createOnError: boolean
    readonly name: string
    /** The file that describes the job, or null where it is not known. */
    readonly file: string | null
    /** How many partitions a shuffle makes when nobody says. */
    readonly parallelism: () => number
    readonly batchMs: number
    readonly onError: (message: string, error: Error) => void
  },
): Promise<JobCheckpoint | null> {
  if (job.directory === null) {
    if (!conf.get('spark.streaming.receiver.writeAheadLog.enable')) return null
    throw new MillraceError(
      'CHECKPOINT_DIRECTORY_REQUIRED',
      'spark.streaming.receiver.writeAheadLog.enable needs a directory for the log: call ssc.checkpoint(directory) or set spark.streaming.checkpoint.directory.',
    )
  }
  const { directory, name, batchMs, onError, createOnError } = job
  if (engine.openCheckpoint !== undefined)
    return engine.openCheckpoint({ directory, job: name, batchMs, onError }, createOnError)
  if (engine.useJournal === undefined) return null
  const options = {
    directory,
    sync: syncMode(conf.get('millrace.log.sync')),
    job: name,
    file: job.file,
    parallelism: job.parallelism,
    batchMs,
    retain: { ms: conf.get('millrace.replay.retain'), bytes: conf.get('millrace.replay.maxBytes') },
    onError,
  }
  const putAside = { directory, createOnError, onError, rename }
  const checkpoint = await openOrPutAside(() => Checkpoint.open(options), putAside)
  engine.useJournal(checkpoint.journal)
  return checkpoint
}

/** What a crash of this process would cost, in words, for the log of a job that starts. */
export function guarantee(conf: Conf, hasCheckpoint: boolean): string {
  if (!hasCheckpoint)
    return 'No checkpoint directory: if this process ends, what it received and has not processed is lost, and so is state'
  const mode = syncMode(conf.get('millrace.log.sync'))
  const safe =
    'Received data is in the log before it is acknowledged: nothing acknowledged is lost if this process ends'
  if (mode === 'always') return `${safe}, nor if the power fails`
  if (mode === 'never') return `${safe}; if the power fails, what the system had not written is`
  return `${safe}; if the power fails, at most the last ${mode.intervalMs} ms are`
}

/** What follows when a batch fails: `millrace.batch.failurePolicy`. */
export function failurePolicy(conf: Conf): FailurePolicy {
  return { action: conf.get('millrace.batch.failurePolicy'), maxRetries: conf.get('millrace.batch.maxRetries') }
}

/** Where batches that are left out are recorded: as set, else in the checkpoint directory; null when there is neither. */
export function deadLetters(conf: Conf, checkpointDirectory: string | null): DeadLetters | null {
  const directory = conf.get('millrace.batch.deadLetters')
  if (directory !== null) return new DeadLetters(directory)
  return checkpointDirectory === null ? null : new DeadLetters(join(checkpointDirectory, 'dead-letters'))
}

/** The listener that sets the receivers' rates, when back pressure is on. */
export function backPressure(conf: Conf, batchMs: number, engine: Engine): BackPressure | null {
  if (!conf.get('spark.streaming.backpressure.enabled')) return null
  const maxRate = conf.get('spark.streaming.receiver.maxRate') ?? Number.POSITIVE_INFINITY
  const options = {
    batchIntervalMs: batchMs,
    proportional: conf.get('spark.streaming.backpressure.pid.proportional'),
    integral: conf.get('spark.streaming.backpressure.pid.integral'),
    derivative: conf.get('spark.streaming.backpressure.pid.derived'),
    minRate: conf.get('spark.streaming.backpressure.pid.minRate'),
  }
  return new BackPressure(options, (streamId, rate) => engine.receivers.setRate(streamId, Math.min(rate, maxRate)))
}

/** Records per second a receiver may take before any estimate, or null for any number: the lower of the initial and the highest rate. */
export function initialRate(conf: Conf): number | null {
  const rates = [
    conf.get('spark.streaming.receiver.maxRate'),
    conf.get('spark.streaming.backpressure.enabled') ? conf.get('spark.streaming.backpressure.initialRate') : null,
  ].filter((rate) => rate !== null && rate > 0) as number[]
  return rates.length === 0 ? null : Math.min(...rates)
}

/** How long a graceful stop may take, in milliseconds: as set, else ten batches. */
export function gracefulStopMs(conf: Conf, batchMs: number): number {
  return conf.get('spark.streaming.gracefulStopTimeout') ?? 10 * batchMs
}

function syncMode(text: string): SyncMode {
  return text === 'always' || text === 'never' ? text : { intervalMs: toMilliseconds(text) }
}
