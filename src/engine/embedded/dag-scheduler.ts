/** Cuts a job into stages at its shuffles and runs them in order: first the map sides beneath, then the partitions asked for. */

import { countRecords } from '../../rdd/count-records.js'
import type { JobDescription, JobRunner } from '../../rdd/job-runner.js'
import { type Lineage, type PartitionedLineage, parentsOf } from '../../rdd/lineage.js'
import { StorageLevel } from '../../rdd/storage-level.js'
import type { Task } from './executor.js'

/** Runs the tasks of one stage. */
export interface TaskScheduler {
  /** Resolves to the results in the order of the tasks; rejects with the first task that failed for good. */
  runStage(tasks: readonly Task[], job: JobDescription): Promise<unknown[][]>
  /** True if every partition of this RDD is kept by some executor. */
  hasCached(lineage: Lineage): boolean
  forgetShuffle(shuffleId: number): void
  forgetCached(rddId: number): void
}

export class DagScheduler implements JobRunner {
  readonly #tasks: TaskScheduler
  /** Map sides that are done or running, by the shuffle's node: they go when nothing can ask for the shuffle again. */
  readonly #mapSides = new WeakMap<PartitionedLineage, Promise<void>>()
  readonly #collected: FinalizationRegistry<number>

  readonly defaultParallelism: number

  constructor(tasks: TaskScheduler, defaultParallelism: number) {
    this.#tasks = tasks
    this.defaultParallelism = defaultParallelism
    this.#collected = new FinalizationRegistry((shuffleId) => tasks.forgetShuffle(shuffleId))
  }

  async collect(lineage: Lineage, partitions: readonly number[] | null, job: JobDescription): Promise<unknown[][]> {
    await this.#prepare(lineage, job)
    const wanted = partitions ?? Array.from({ length: lineage.partitions }, (_, partition) => partition)
    return this.#tasks.runStage(
      wanted.map((partition) => ({ type: 'result', lineage, partition })),
      job,
    )
  }

  async checkpoint(lineage: Lineage, directory: string | null, job: JobDescription): Promise<Lineage> {
    const { id, partitions, partitioner } = lineage
    if (directory !== null) {
      await this.#prepare(lineage, job)
      const tasks = Array.from({ length: partitions }, (_, partition) => ({
        type: 'save' as const,
        lineage,
        partition,
        directory,
      }))
      await this.#tasks.runStage(tasks, job)
      return { type: 'checkpointed', id, partitions, partitioner, storageLevel: null, directory, rddId: id }
    }
    lineage.storageLevel ??= StorageLevel.MEMORY_ONLY
    // Counting touches every partition, which keeps it, and brings next to nothing back.
    if (!this.#tasks.hasCached(lineage)) await this.collect(countRecords(lineage), null, job)
    return { type: 'checkpointed', id, partitions, partitioner, storageLevel: null, directory, rddId: id }
  }

  unpersist(rddId: number): void {
    this.#tasks.forgetCached(rddId)
  }

  /** Runs the map side of every shuffle beneath, deepest first. */
  async #prepare(lineage: Lineage, job: JobDescription): Promise<void> {
    for (const shuffle of this.#shufflesBeneath(lineage)) await this.#ensureMapSide(shuffle, job)
  }

  /** The nearest shuffles, not looking behind partitions that are kept. */
  #shufflesBeneath(lineage: Lineage): PartitionedLineage[] {
    const found: PartitionedLineage[] = []
    const seen = new Set<Lineage>()
    const waiting = [lineage]
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (seen.has(node)) continue
      seen.add(node)
      if (node.storageLevel !== null && this.#tasks.hasCached(node)) continue
      if (node.type === 'partitioned') found.push(node)
      else waiting.push(...parentsOf(node))
    }
    return found
  }

  #ensureMapSide(shuffle: PartitionedLineage, job: JobDescription): Promise<void> {
    let running = this.#mapSides.get(shuffle)
    if (running === undefined) {
      running = this.#runMapSide(shuffle, job)
      this.#mapSides.set(shuffle, running)
      this.#collected.register(shuffle, shuffle.id)
      // A map side that failed is tried again by the next job that needs it.
      running.catch(() => this.#mapSides.delete(shuffle))
    }
    return running
  }

  async #runMapSide(shuffle: PartitionedLineage, job: JobDescription): Promise<void> {
    await this.#prepare(shuffle.parent, job)
    const placed = await this.#withBounds(shuffle, job)
    const tasks = Array.from({ length: shuffle.parent.partitions }, (_, partition) => ({
      type: 'shuffleMap' as const,
      shuffle: placed,
      partition,
    }))
    await this.#tasks.runStage(tasks, job)
  }

  /** The shuffle itself, or with its range bounds filled in from a sample taken now. */
  async #withBounds(shuffle: PartitionedLineage, job: JobDescription): Promise<PartitionedLineage> {
    const { partitioner } = shuffle
    if (partitioner.type !== 'range' || partitioner.bounds !== null || partitioner.sampled === null) return shuffle
    const sample = (await this.collect(partitioner.sampled, null, job)).flat()
    return { ...shuffle, partitioner: partitioner.bounded(sample) }
  }
}
