/** Cuts a job into stages at its shuffles and runs them in order: first the map sides beneath, then the partitions asked for. */

import { causesOf, MillraceError } from '../../errors.js'
import { countRecords } from '../../rdd/count-records.js'
import type { JobDescription, JobRunner } from '../../rdd/job-runner.js'
import { type Lineage, type PartitionedLineage, parentsOf } from '../../rdd/lineage.js'
import type { RecordArrays } from '../../rdd/record-arrays.js'
import { StorageLevel } from '../../rdd/storage-level.js'
import type { Task } from './executor.js'

/** Runs the tasks of one stage. */
export interface TaskScheduler {
  /** Resolves to the results in the order of the tasks; rejects with the first task that failed for good. */
  runStage(tasks: readonly Task[], job: JobDescription): Promise<RecordArrays[]>
  /** True if every partition of this RDD is kept by some executor. */
  hasCached(lineage: Lineage): boolean
  /** Keeps the partitions of this RDD, come what may, until they are forgotten. */
  pin(rddId: number): void
  /** The map tasks of this shuffle whose output is not there. */
  missingOutputs(shuffle: PartitionedLineage): number[]
  /** A file is gone: whatever was in it, and can be, is computed again when it is asked for. */
  lost(path: string): void
  forgetShuffle(shuffleId: number): void
  forgetCached(rddId: number): void
}

export class DagScheduler implements JobRunner {
  readonly #tasks: TaskScheduler
  /** Map sides that are done or running, by the shuffle's node: they go when nothing can ask for the shuffle again. */
  readonly #mapSides = new WeakMap<PartitionedLineage, { isRunning: boolean; readonly done: Promise<void> }>()
  /** Shuffles as their map tasks write them: with the bounds of their ranges. */
  readonly #placed = new WeakMap<PartitionedLineage, PartitionedLineage>()
  readonly #stageAttemptsMax: number
  readonly #collected: FinalizationRegistry<number>

  readonly defaultParallelism: number

  /** `stageAttemptsMax` is how often a stage is tried when what it relies on is gone. */
  constructor(tasks: TaskScheduler, defaultParallelism: number, stageAttemptsMax: number) {
    this.#tasks = tasks
    this.#stageAttemptsMax = stageAttemptsMax
    this.defaultParallelism = defaultParallelism
    this.#collected = new FinalizationRegistry((shuffleId) => tasks.forgetShuffle(shuffleId))
  }

  async collect(lineage: Lineage, partitions: readonly number[] | null, job: JobDescription): Promise<RecordArrays[]> {
    const wanted = partitions ?? Array.from({ length: lineage.partitions }, (_, partition) => partition)
    const tasks = wanted.map((partition) => ({ type: 'result' as const, lineage, partition }))
    return this.#runStage(lineage, tasks, job)
  }

  async checkpoint(lineage: Lineage, directory: string | null, job: JobDescription): Promise<Lineage> {
    const { id, partitions, partitioner } = lineage
    if (directory !== null) {
      const tasks = Array.from({ length: partitions }, (_, partition) => ({
        type: 'save' as const,
        lineage,
        partition,
        directory,
      }))
      await this.#runStage(lineage, tasks, job)
      return { type: 'checkpointed', id, partitions, partitioner, storageLevel: null, directory, rddId: id }
    }
    lineage.storageLevel ??= StorageLevel.MEMORY_ONLY
    this.#tasks.pin(id)
    // Counting touches every partition, which keeps it, and brings next to nothing back.
    if (!this.#tasks.hasCached(lineage)) await this.collect(countRecords(lineage), null, job)
    return { type: 'checkpointed', id, partitions, partitioner, storageLevel: null, directory, rddId: id }
  }

  unpersist(rddId: number): void {
    this.#tasks.forgetCached(rddId)
  }

  forgetShuffle({ id }: PartitionedLineage): void {
    this.#tasks.forgetShuffle(id)
  }

  /** Runs the tasks of a stage after the map side of every shuffle beneath. */
  async #runStage(top: Lineage, tasks: readonly Task[], job: JobDescription): Promise<RecordArrays[]> {
    for (let attempt = 1; ; attempt++) {
      // Partitions that were kept may be evicted any time: then what lies behind them is needed after all.
      for (const shuffle of this.#shufflesBeneath(top, attempt > 1)) await this.#mapSideFor(shuffle, job)
      try {
        job.signal?.throwIfAborted()
        return await this.#tasks.runStage(tasks, job)
      } catch (error) {
        const lost = lostData(error)
        if (attempt >= this.#stageAttemptsMax || lost === null) throw error
        if (lost.path !== null) this.#tasks.lost(lost.path)
      }
    }
  }

  /** The nearest shuffles, not looking behind partitions that are kept unless `all` are asked for. */
  #shufflesBeneath(lineage: Lineage, all: boolean): PartitionedLineage[] {
    const found: PartitionedLineage[] = []
    const seen = new Set<Lineage>()
    const waiting = [lineage]
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (seen.has(node)) continue
      seen.add(node)
      if (!all && node.storageLevel !== null && this.#tasks.hasCached(node)) continue
      if (node.type === 'partitioned') found.push(node)
      else waiting.push(...parentsOf(node))
    }
    return found
  }

  /** As `#ensureMapSide`. When the job that began it is cancelled, this one begins it again. */
  async #mapSideFor(shuffle: PartitionedLineage, job: JobDescription): Promise<void> {
    for (;;) {
      try {
        return await this.#ensureMapSide(shuffle, job)
      } catch (error) {
        job.signal?.throwIfAborted()
        if (!MillraceError.is(error, 'JOB_CANCELLED')) throw error
      }
    }
  }

  /** Runs the map tasks whose output is not there: all of them the first time, later those whose output was lost. */
  #ensureMapSide(shuffle: PartitionedLineage, job: JobDescription): Promise<void> {
    const known = this.#mapSides.get(shuffle)
    if (known !== undefined && (known.isRunning || this.#tasks.missingOutputs(shuffle).length === 0)) return known.done
    if (known === undefined) this.#collected.register(shuffle, shuffle.id)
    const mapSide = { isRunning: true, done: this.#runMapSide(shuffle, job) }
    this.#mapSides.set(shuffle, mapSide)
    mapSide.done.then(
      () => {
        mapSide.isRunning = false
      },
      // A map side that failed is tried again by the next job that needs it.
      () => this.#mapSides.delete(shuffle),
    )
    return mapSide.done
  }

  async #runMapSide(shuffle: PartitionedLineage, job: JobDescription): Promise<void> {
    // Output that is written again must fall into the same ranges.
    const placed = this.#placed.get(shuffle) ?? (await this.#withBounds(shuffle, job))
    this.#placed.set(shuffle, placed)
    const tasks = this.#tasks
      .missingOutputs(shuffle)
      .map((partition) => ({ type: 'shuffleMap' as const, shuffle: placed, partition }))
    await this.#runStage(shuffle.parent, tasks, job)
  }

  /** The shuffle itself, or with its range bounds filled in from a sample taken now. */
  async #withBounds(shuffle: PartitionedLineage, job: JobDescription): Promise<PartitionedLineage> {
    const { partitioner } = shuffle
    if (partitioner.type !== 'range' || partitioner.bounds !== null || partitioner.sampled === null) return shuffle
    const sample = (await this.collect(partitioner.sampled, null, job)).flat(2)
    return { ...shuffle, partitioner: partitioner.bounded(sample) }
  }
}

/** What a stage failed for want of: the output of a shuffle, or a file; null when it failed of something else. */
function lostData(error: unknown): { readonly path: string | null } | null {
  for (const cause of causesOf(error)) {
    if (!MillraceError.is(cause, 'BLOCK_NOT_FOUND')) continue
    const { path, shuffle } = cause.details
    if (typeof path === 'string') return { path }
    return shuffle === undefined ? null : { path: null }
  }
  return null
}
