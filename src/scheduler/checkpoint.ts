/**
 * The checkpoint directory of a job: everything a new process needs to go on where the last one ended. It holds data, not
 * code, under the ids of the operators. One process at a time uses it.
 *
 *     LOCK     who uses it
 *     log/     the journal: received blocks, their batches, what is done
 *     state/   saved state, a directory for each operator and time
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import type { StreamNode } from '../dstream/stream-node.js'
import { MillraceError, toError } from '../errors.js'
import type { JobDescription, JobRunner } from '../rdd/job-runner.js'
import { HashPartitioner } from '../rdd/partitioner.js'
import { openDirectory } from '../storage/directory-handle.js'
import { DirectoryLock } from '../storage/directory-lock.js'
import { Journal } from '../storage/journal.js'
import { JOURNAL_FORMAT_VERSION, type JournalEvent } from '../storage/journal-events.js'
import type { SyncMode } from '../storage/write-ahead-log.js'
import type { Time } from '../time.js'

type StateSaved = Extract<JournalEvent, { type: 'stateSaved' }>
type Started = Extract<JournalEvent, { type: 'started' }>

export interface CheckpointOptions {
  readonly directory: string
  readonly sync: SyncMode
  readonly job: string
  readonly batchMs: number
  /** Gets what fails in the background: saving state, which is tried again, and deleting what is old. */
  readonly onError: (message: string, error: Error) => void
}

export class Checkpoint {
  readonly journal: Journal
  readonly #options: CheckpointOptions
  readonly #lock: DirectoryLock
  /** State is saved one operator after another, beside the batches. */
  #saving: Promise<void> = Promise.resolve()
  readonly #queued = new Set<StreamNode>()

  private constructor(options: CheckpointOptions, lock: DirectoryLock, journal: Journal) {
    this.#options = options
    this.#lock = lock
    this.journal = journal
  }

  /**
   * Opens the directory, making it when it is not there. Throws `DIRECTORY_IN_USE` when a process uses it, `CHECKPOINT_MISMATCH`
   * when another job, or this one with another batch interval, wrote it, `CHECKPOINT_VERSION`, and what opening the log throws.
   */
  static async open(options: CheckpointOptions): Promise<Checkpoint> {
    const root = await openDirectory(options.directory)
    const lock = await DirectoryLock.acquire(options.directory)
    try {
      const onError = (error: Error): void => options.onError('The log has a problem', error)
      const journal = await Journal.open(await root.directory('log'), { sync: options.sync, onError })
      const started = journal.state.latestOf<'started'>('started')
      if (started !== null) assertSameJob(started, options)
      return new Checkpoint(options, lock, journal)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** The zero time of the first run; null on a new directory. */
  get zeroTime(): Time | null {
    return this.journal.state.latestOf<'started'>('started')?.zeroTime ?? null
  }

  /** Notes that a run begins. */
  async started(zeroTime: Time, nowMs: Time): Promise<void> {
    const { job, batchMs } = this.#options
    await this.journal.record({ type: 'started', formatVersion: JOURNAL_FORMAT_VERSION, job, batchMs, zeroTime, nowMs })
  }

  /**
   * Gives every operator of the graph that has state its saved state back. Throws `CHECKPOINT_MISMATCH` when there is state of
   * an operator that the graph no longer has.
   */
  restoreState(graph: DStreamGraph): void {
    const nodes = new Map(graph.nodes.filter(hasState).map((node) => [node.id, node]))
    for (const key of this.journal.state.latest.keys()) {
      const saved = key.startsWith('state ') ? this.journal.state.latestOf<'stateSaved'>(key) : null
      if (saved === null) continue
      const node = nodes.get(saved.operator)
      if (node === undefined) throw unknownOperator(saved.operator, [...nodes.keys()])
      node.restore(
        saved.time,
        graph.context.rdd({
          type: 'checkpointed',
          id: graph.context.nextRddId(),
          partitions: saved.partitions,
          partitioner: saved.isHashed ? new HashPartitioner(saved.partitions) : null,
          storageLevel: null,
          directory: this.#stateDirectory(saved.operator, saved.time),
          rddId: 0,
        }),
      )
    }
  }

  /** Every output of the batch of `time` is done. State that is due is saved in the background. */
  async completed(time: Time, graph: DStreamGraph): Promise<void> {
    await this.journal.record({ type: 'batchCompleted', time })
    for (const node of graph.nodes) {
      if (!hasState(node) || !node.isCheckpointTime(time) || this.#queued.has(node)) continue
      const rdd = node.generated.get(time)
      if (rdd === undefined) continue
      this.#queued.add(node)
      this.#saving = this.#saving.then(async () => {
        try {
          await this.#save(node.id, time, node.saved(rdd), graph.context.runner)
        } catch (error) {
          this.#options.onError(`The state of ${node.id} could not be saved`, toError(error))
        } finally {
          this.#queued.delete(node)
        }
      })
    }
  }

  /** Notes that the batch of `time` was left out because it failed. */
  async skipped(time: Time, error: Error): Promise<void> {
    await this.journal.record({ type: 'batchSkipped', time, error: error.message })
  }

  /** The earliest time from which input must be kept, so that the state of every operator can be computed again. */
  keepFrom(graph: DStreamGraph, time: Time): Time {
    let from = time
    for (const node of graph.nodes) {
      if (!hasState(node)) continue
      const saved = this.journal.state.latestOf<'stateSaved'>(`state ${node.id}`)
      from = Math.min(from, saved?.time ?? graph.zeroTime)
    }
    return from
  }

  /** Waits for state that is being saved and closes the directory. */
  async close(): Promise<void> {
    await this.#saving
    try {
      await this.journal.close()
    } finally {
      await this.#lock.release()
    }
  }

  async #save(operator: string, time: Time, rdd: SavedRdd, runner: JobRunner): Promise<void> {
    const directory = this.#stateDirectory(operator, time)
    const job: JobDescription = { batchTime: time, outputId: null, name: `save the state of ${operator}` }
    const { partitions, partitioner } = await runner.checkpoint(rdd.lineage, directory, job)
    const before = this.journal.state.latestOf<'stateSaved'>(`state ${operator}`)
    await this.journal.record({
      type: 'stateSaved',
      operator,
      time,
      partitions,
      isHashed: partitioner?.type === 'hash',
    })
    if (before !== null && before.time !== time) await this.#remove(before)
  }

  async #remove({ operator, time }: StateSaved): Promise<void> {
    await rm(this.#stateDirectory(operator, time), { recursive: true, force: true }).catch((error: unknown) => {
      this.#options.onError(`Old state of ${operator} could not be deleted`, toError(error))
    })
  }

  #stateDirectory(operator: string, time: Time): string {
    return join(this.#options.directory, 'state', encodeURIComponent(operator), String(time))
  }
}

interface SavedRdd {
  readonly lineage: Parameters<JobRunner['checkpoint']>[0]
}

function hasState(node: StreamNode): boolean {
  return node.mustCheckpoint
}

function assertSameJob(started: Started, { job, batchMs, directory }: CheckpointOptions): void {
  if (started.formatVersion !== JOURNAL_FORMAT_VERSION) {
    throw new MillraceError(
      'CHECKPOINT_VERSION',
      `The checkpoint in ${directory} has format ${started.formatVersion}; this version of Millrace reads format ${JOURNAL_FORMAT_VERSION}. Finish it with the version that wrote it, or use an empty directory.`,
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

function unknownOperator(operator: string, known: readonly string[]): MillraceError {
  return new MillraceError(
    'CHECKPOINT_MISMATCH',
    `The checkpoint holds state of the operator ${operator}, and this job has no such operator with state (it has: ${known.join(', ') || 'none'}). Give the operator its old name with .named(${JSON.stringify(operator)}), or, to give up its state, use an empty checkpoint directory.`,
    { details: { operator, known } },
  )
}
