/**
 * The checkpoint directory of a job: everything a new process needs to go on where the last one ended. It holds data, not
 * code, under the ids of the operators. One process at a time uses it.
 *
 *     LOCK     who uses it
 *     log/     the journal: received blocks, their batches, what is done
 *     state/   saved state, in layers
 */
import { join } from 'node:path'
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import type { CheckpointedJob, JobCheckpoint } from '../engine/job-checkpoint.js'
import { MillraceError, toError } from '../errors.js'
import { type DirectoryHandle, openDirectory } from '../storage/directory-handle.js'
import { DirectoryLock } from '../storage/directory-lock.js'
import { Journal } from '../storage/journal.js'
import { type InputIdentity, JOURNAL_FORMAT_VERSION, type JournalEvent } from '../storage/journal-events.js'
import type { SyncMode } from '../storage/write-ahead-log.js'
import type { Time } from '../time.js'
import { StateSaver } from './state-saver.js'

type Started = Extract<JournalEvent, { type: 'started' }>

export interface CheckpointOptions extends CheckpointedJob {
  readonly sync: SyncMode
  /** The file that describes the job, or null where it is not known. */
  readonly file: string | null
  /** How many partitions a shuffle makes when nobody says, once that is known. */
  readonly parallelism: () => number
  /** What is kept for `millrace replay`: batches that ended not longer ago than this, in milliseconds, and of these no more than so many bytes. */
  readonly retain: { readonly ms: number; readonly bytes: number }
}

export class Checkpoint implements JobCheckpoint {
  readonly clockCatchesUp = false
  readonly journal: Journal
  readonly #options: CheckpointOptions
  readonly #lock: DirectoryLock
  readonly #states: StateSaver

  private constructor(options: CheckpointOptions, lock: DirectoryLock, journal: Journal) {
    this.#options = options
    this.#lock = lock
    this.journal = journal
    this.#states = new StateSaver({
      directory: join(options.directory, 'state'),
      journal,
      keepsEarlier: options.retain.ms > 0,
      logIsWhole: options.sync === 'always',
      onError: options.onError,
    })
  }

  /**
   * Opens the directory, making it when it is not there. Throws `CHECKPOINT_UNAVAILABLE` when it cannot be, `DIRECTORY_IN_USE` when a process uses it, `CHECKPOINT_MISMATCH`
   * when another job, or this one with another batch interval, wrote it, `CHECKPOINT_VERSION`, and what opening the log throws.
   */
  static async open(options: CheckpointOptions): Promise<Checkpoint> {
    const { root, lock } = await takeDirectory(options.directory)
    let journal: Journal | null = null
    try {
      const onError = (error: Error): void => options.onError('The log has a problem', error)
      const onWaiting = (error: Error): void =>
        options.onError('The log cannot be written; batches wait until it can', error)
      journal = await Journal.open(await root.directory('log'), { sync: options.sync, onError, onWaiting })
      const started = journal.state.latestOf<'started'>('started')
      if (started !== null) assertSameJob(started, options, JOURNAL_FORMAT_VERSION)
      const checkpoint = new Checkpoint(options, lock, journal)
      await checkpoint.#states.tidy()
      return checkpoint
    } catch (error) {
      await journal?.close()
      await lock.release()
      throw isRefusal(error) ? unavailable(options.directory, error) : error
    }
  }

  get zeroTime(): Time | null {
    return this.journal.state.latestOf<'started'>('started')?.zeroTime ?? null
  }

  get batches(): Journal['state']['batches'] {
    return this.journal.state.batches
  }

  get lastBegun(): Time | null {
    return this.journal.state.lastAllocated
  }

  async started(zeroTime: Time, nowMs: Time, graph: DStreamGraph): Promise<void> {
    const { job, batchMs, file, parallelism } = this.#options
    const inputs = graph.inputs.map(({ name, source }) => ({ name, source }))
    const run = {
      job,
      batchMs,
      zeroTime,
      nowMs,
      inputs,
      parallelism: parallelism(),
      ...(file === null ? {} : { file }),
    }
    await this.journal.record({ type: 'started', formatVersion: JOURNAL_FORMAT_VERSION, ...run })
  }

  restoreState(graph: DStreamGraph): void {
    this.#states.restore(graph)
    this.#checkStreams(graph)
  }

  /** Throws `CHECKPOINT_MISMATCH` when what was received by an input stream would go to another one, or to none. */
  #checkStreams(graph: DStreamGraph): void {
    const { directory } = this.#options
    const { batches, waiting } = this.journal.state
    const before = this.journal.state.latestOf<'started'>('started')?.inputs ?? []
    const inBatches = [...batches.values()].flatMap(({ status, blocks }) => (status === 'skipped' ? [] : blocks))
    for (const streamId of new Set([...waiting.values(), ...inBatches].map(({ block }) => block.streamId))) {
      const was = before[streamId]
      const is = graph.inputs[streamId]
      if (was !== undefined && is !== undefined && isSame(was, is)) continue
      const found = is === undefined ? `has ${graph.inputs.length}` : `has ${nameOf(is)} in its place`
      throw new MillraceError(
        'CHECKPOINT_MISMATCH',
        `The checkpoint in ${directory} holds received data that may still be needed, of input stream ${streamId} (${was === undefined ? 'unknown' : nameOf(was)}), and this job ${found} (they are numbered from 0 in the order they are made). Make the streams in the order they had, new ones last; or, to give up that data, use an empty checkpoint directory.`,
        { details: { directory, stream: streamId } },
      )
    }
  }

  resumeInputs(graph: DStreamGraph): void {
    const { lastAllocated: last, batches } = this.journal.state
    if (last === null) return
    const completed = [...batches].flatMap(([time, { status }]) => (status === 'completed' ? [time] : []))
    for (const input of graph.inputs) {
      const memory = this.journal.state.latestOf<'inputTaken'>(`input ${input.id}`)?.memory ?? null
      input.resume({ completed, last, memory })
    }
  }

  async inputsTaken(time: Time, graph: DStreamGraph): Promise<void> {
    for (const input of graph.inputs) {
      const memory = input.toRemember(time)
      const keepsEarlier = this.#options.retain.ms > 0
      if (memory !== null)
        await this.journal.record({ type: 'inputTaken', operator: input.id, time, memory, keepsEarlier })
    }
  }

  /** Every output of the batch of `time` is done. State that is due is saved in the background. */
  async completed(time: Time, graph: DStreamGraph): Promise<void> {
    const recorded = this.journal.record({ type: 'batchCompleted', time })
    // The thread has nothing to do until that is on disk.
    await Promise.all([recorded, this.#states.completed(time, graph, recorded)])
  }

  async skipped(time: Time, error: Error): Promise<void> {
    this.#states.leftOut(time)
    await this.journal.record({ type: 'batchSkipped', time, error: error.message })
  }

  async finish(time: Time, graph: DStreamGraph): Promise<void> {
    await this.#states.finish(time, graph)
  }

  /** Also tells the journal what is kept beyond that. */
  keepFrom(graph: DStreamGraph, done: Time): Time {
    const { ms, bytes } = this.#options.retain
    if (ms > 0) {
      const replayAfter = Math.max(done - ms, this.journal.state.history.within(bytes))
      const from = neededFrom(graph, this.#states.keepFrom(graph, replayAfter))
      this.journal.retained = { from, replayAfter }
    }
    return this.#states.keepFrom(graph, done)
  }

  /** From now on nothing waits for a log that cannot be written. */
  stopWaiting(): void {
    this.journal.stopWaiting()
  }

  async stop(): Promise<void> {
    await this.#states.close()
  }

  async close(): Promise<void> {
    await this.stop()
    try {
      await this.journal.close()
    } finally {
      await this.#lock.release()
    }
  }
}

/** The directory, there and held by this process. */
async function takeDirectory(path: string): Promise<{ root: DirectoryHandle; lock: DirectoryLock }> {
  try {
    return { root: await openDirectory(path), lock: await DirectoryLock.acquire(path) }
  } catch (error) {
    throw MillraceError.is(error) ? error : unavailable(path, error)
  }
}

/** True for streams of one name, or, where one of them has none, of one source. */
function isSame(a: InputIdentity, b: InputIdentity): boolean {
  return a.name !== null && b.name !== null ? a.name === b.name : a.source === b.source
}

function nameOf({ name, source }: InputIdentity): string {
  return name ?? `of ${source}`
}

/** True for what the system said no to: a file in the place of a directory, no permission, a disk that does not answer. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown
}

function unavailable(path: string, cause: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_UNAVAILABLE',
    `The checkpoint directory ${path} cannot be used: ${toError(cause).message}. Expected a directory in which this process may make, read and write files; it is made when it is not there.`,
    { cause, details: { directory: path } },
  )
}

/** The earliest time of which input is needed, where state of `time` is known. */
export function neededFrom(graph: DStreamGraph, time: Time): Time {
  return time - graph.inputRememberMs + graph.batchMs + 1
}

/** Throws `CHECKPOINT_VERSION` or `CHECKPOINT_MISMATCH` unless what `started` says was written in that format for this job. */
export function assertSameJob(
  started: Pick<Started, 'formatVersion' | 'job' | 'batchMs'>,
  { job, batchMs, directory }: Pick<CheckpointedJob, 'job' | 'batchMs' | 'directory'>,
  formatVersion: number,
): void {
  if (started.formatVersion !== formatVersion) {
    throw new MillraceError(
      'CHECKPOINT_VERSION',
      `The checkpoint in ${directory} has format ${started.formatVersion}; this version of Millrace reads format ${formatVersion}. Finish it with the version that wrote it, or use an empty directory.`,
      { details: { directory, version: started.formatVersion } },
    )
  }
  if (started.job !== job || started.batchMs !== batchMs) {
    throw new MillraceError(
      'CHECKPOINT_MISMATCH',
      `The checkpoint in ${directory} belongs to the job ${JSON.stringify(started.job)} with batches of ${started.batchMs} ms; this is ${JSON.stringify(job)} with batches of ${batchMs} ms. Name and batch interval must stay as they are; a changed job needs a directory of its own.`,
      { details: { directory, expected: { job: started.job, batchMs: started.batchMs }, found: { job, batchMs } } },
    )
  }
}
