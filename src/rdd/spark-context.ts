/** SparkContext: makes RDDs from data at hand and runs their jobs. A small batch engine by itself, and the ground a StreamingContext stands on. */
import { MillraceError } from '../errors.js'
import { unite } from './combination.js'
import type { JobDescription, JobRunner } from './job-runner.js'
import type { Lineage } from './lineage.js'
import type { Item } from './pair.js'
import { RDD, type RddContext } from './rdd.js'

export class SparkContext implements RddContext {
  readonly appName: string
  /** @internal */
  readonly runner: JobRunner
  #nextRddId = 0
  #job: Omit<JobDescription, 'name'> & { name: string | null } = { batchTime: null, outputId: null, name: null }
  #checkpointDirectory: string | null = null

  /** @internal */
  constructor(appName: string, runner: JobRunner) {
    this.appName = appName
    this.runner = runner
  }

  /** How many partitions a shuffle makes when nobody says: the number of executor threads, or `spark.default.parallelism`. */
  get defaultParallelism(): number {
    return this.runner.defaultParallelism
  }

  /**
   * The records as an RDD of `partitions` slices; slice i takes the records from `i * length / partitions` on, as Spark's does.
   * Throws `ILLEGAL_ARGUMENT` unless `partitions` is a whole number from 1 up.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'numbers', batchInterval: '1s' })
   * await sparkContext.parallelize([1, 2, 3, 4], 2).glom().collect() // [[1, 2], [3, 4]]
   * ```
   */
  parallelize<T extends Item>(records: readonly T[], partitions: number = this.defaultParallelism): RDD<T> {
    if (!Number.isInteger(partitions) || partitions < 1) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `The number of partitions must be a whole number from 1 up, not ${partitions}.`,
      )
    }
    const edge = (i: number): number => Math.floor((i * records.length) / partitions)
    const slices = Array.from({ length: partitions }, (_, i) => records.slice(edge(i), edge(i + 1)))
    return this.fromSlices(slices)
  }

  /** An RDD without partitions, so without records. */
  emptyRDD<T>(): RDD<T> {
    return this.fromSlices<T>([])
  }

  /** The records of all of them; see `RDD.union`. Without any, an empty RDD. */
  union<T>(rdds: readonly RDD<T>[]): RDD<T> {
    return rdds.length === 0 ? this.emptyRDD<T>() : unite(rdds)
  }

  /** An RDD with exactly these partitions. @internal */
  fromSlices<T>(slices: readonly (readonly T[])[]): RDD<T> {
    const id = this.nextRddId()
    return this.rdd({
      type: 'parallelized',
      id,
      partitions: slices.length,
      partitioner: null,
      storageLevel: null,
      slices,
    })
  }

  /** A handle on a lineage node of this context. @internal */
  rdd<T>(lineage: Lineage): RDD<T> {
    return new RDD(this, lineage)
  }

  /** @internal */
  nextRddId(): number {
    return this.#nextRddId++
  }

  /** @internal */
  get checkpointDirectory(): string | null {
    return this.#checkpointDirectory
  }

  /** Where `RDD.checkpoint` writes. */
  setCheckpointDir(directory: string): void {
    this.#checkpointDirectory = directory
  }

  /** @internal */
  describeJob(action: string): JobDescription {
    return { ...this.#job, name: this.#job.name ?? action }
  }

  /** Says what the jobs started from now on are for. @internal */
  setJob(job: JobDescription | null): void {
    this.#job = job ?? { batchTime: null, outputId: null, name: null }
  }
}
