/** RDD: a typed handle on a lineage node. Transformations make nodes; actions ask the context's runner to compute them. */
import { MillraceError } from '../errors.js'
import { unite } from './combination.js'
import type { JobDescription, JobRunner } from './job-runner.js'
import type { Lineage, NarrowOperation, NewLineage } from './lineage.js'
import type { Item } from './pair.js'
import { PairRddOperations } from './pair-rdd-operations.js'
import type { Partitioner } from './partitioner.js'
import { StorageLevel } from './storage-level.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

/** What an RDD needs of the SparkContext it belongs to. */
export interface RddContext {
  readonly runner: JobRunner
  /** The number for the next RDD. */
  nextRddId(): number
  /** What the job running now is for. */
  describeJob(action: string): JobDescription
  readonly checkpointDirectory: string | null
}

/**
 * A distributed collection: records in partitions, computed when an action asks for them. Spark's RDD, with promises where
 * Spark blocks.
 *
 * ```ts
 * import { StreamingContext } from 'millrace'
 * const { sparkContext } = new StreamingContext({ appName: 'sums', batchInterval: '1s' })
 * await sparkContext.parallelize([1, 2, 3]).map((n) => n * n).reduce((a, b) => a + b) // 14
 * ```
 */
export class RDD<out T> extends PairRddOperations {
  /** @internal */
  readonly context: RddContext
  /** How this RDD comes about. @internal */
  lineage: Lineage

  /** @internal */
  constructor(context: RddContext, lineage: Lineage) {
    super()
    this.context = context
    this.lineage = lineage
  }

  /** The number of this RDD, unique in its context. */
  get id(): number {
    return this.lineage.id
  }

  /** How many partitions it has. */
  get numPartitions(): number {
    return this.lineage.partitions
  }

  /** Where records lie by key, or null when that is not known. */
  get partitioner(): Partitioner | null {
    return this.lineage.partitioner
  }

  // Transformations, one record at a time

  /** `f` of every record. Forgets the partitioner. */
  map<U extends Item>(f: (record: T) => U): RDD<U> {
    return this.mapped({ type: 'map', f: userFunction(f) })
  }

  /** The records for which `f` is true. Keeps the partitioner. */
  filter<S extends T>(f: (record: T) => record is S): RDD<S>
  filter(f: (record: T) => unknown): RDD<T>
  filter(f: (record: T) => unknown): RDD<T> {
    return this.mapped({ type: 'filter', f: userFunction(f) }, true)
  }

  /** All records of the iterables `f` returns. */
  flatMap<U extends Item>(f: (record: T) => Iterable<U>): RDD<U> {
    return this.mapped({ type: 'flatMap', f: userFunction(f) })
  }

  /** Records of both, duplicates kept. Partitions add up; with equal partitioners they merge pairwise. */
  union<U extends Item>(...others: RDD<U>[]): RDD<T | U> {
    return unite<T | U>([this, ...others])
  }

  // Actions

  /** Every record, in partition order. */
  async collect(): Promise<T[]> {
    const partitions = await this.#run(this.lineage, 'collect')
    return partitions.length === 1 ? partitions[0]! : partitions.flat()
  }

  /** How many records there are. */
  async count(): Promise<number> {
    const counts = (await this.#run(countRecords(this.lineage), 'count')) as unknown as number[][]
    return counts.flat().reduce((a, b) => a + b, 0)
  }

  /** All records made one by `f`, which must be associative and commutative. Rejects with `EMPTY_COLLECTION` when there are none. */
  async reduce(f: (a: T, b: T) => T): Promise<T> {
    const partials = await this.reducePartitions(userFunction(f)).#collectFor('reduce')
    if (partials.length === 0) throw new MillraceError('EMPTY_COLLECTION', 'reduce of an empty RDD has no result.')
    return partials.reduce(f)
  }

  /** The first `n` records in partition order, computing no more partitions than that needs. */
  async take(n: number): Promise<T[]> {
    const taken: T[] = []
    const head = this.mapped<T>({ type: 'iterate', f: takeFirst(n) })
    let scanned = 0
    while (taken.length < n && scanned < this.numPartitions) {
      // Spark's steps: one partition first, then as many as the yield so far suggests, at most four times what was scanned.
      let next = 1
      if (scanned > 0) {
        const wanted = taken.length === 0 ? scanned * 4 : Math.ceil((1.5 * n * scanned) / taken.length) - scanned
        next = Math.max(Math.min(wanted, scanned * 4), 1)
      }
      const range = Array.from({ length: Math.min(next, this.numPartitions - scanned) }, (_, i) => scanned + i)
      for (const records of await this.#run(head.lineage, 'take', range)) {
        for (const record of records) if (taken.length < n) taken.push(record as T)
      }
      scanned += range.length
    }
    return taken
  }

  /** The first record. Rejects with `EMPTY_COLLECTION` when there is none. */
  async first(): Promise<T> {
    const [first] = await this.take(1)
    if (first === undefined && (await this.isEmpty())) {
      throw new MillraceError('EMPTY_COLLECTION', 'first of an empty RDD has no result.')
    }
    return first as T
  }

  /** True if there is no record. */
  async isEmpty(): Promise<boolean> {
    return this.numPartitions === 0 || (await this.take(1)).length === 0
  }

  /** Calls `f` for each record, beside the data. */
  async foreach(f: (record: T) => void): Promise<void> {
    await this.mapped({ type: 'fold', zero: constant(null), add: callEach(userFunction(f)), finish: null }).#collectFor(
      'foreach',
    )
  }

  /** Calls `f` once per partition, beside the data; `f` may be async and is awaited. */
  async foreachPartition(f: (records: IterableIterator<T>, partition: number) => void | Promise<void>): Promise<void> {
    await this.mapped({ type: 'iterate', f: forEffect(userFunction(f)) }).#collectFor('foreachPartition')
  }

  // Housekeeping

  /** Keeps the partitions when first computed, `MEMORY_ONLY` unless told otherwise. A second, different level throws `UNSUPPORTED`. */
  persist(level: StorageLevel = StorageLevel.MEMORY_ONLY): this {
    const current = this.lineage.storageLevel
    if (current !== null && !current.equals(level)) {
      throw new MillraceError(
        'UNSUPPORTED',
        `RDD ${this.id} is already kept as ${current}; unpersist it before choosing ${level}.`,
      )
    }
    this.lineage.storageLevel = level
    return this
  }

  /** `persist()` at the default level. */
  cache(): this {
    return this.persist()
  }

  /** Drops the kept partitions. */
  unpersist(): this {
    if (this.lineage.storageLevel !== null) this.context.runner.unpersist(this.id)
    this.lineage.storageLevel = null
    return this
  }

  /** A new RDD of this one's partitions through a narrow operation. @internal */
  mapped<U>(operation: NarrowOperation, keepsPartitioner = false): RDD<U> {
    return this.derive({
      type: 'mapped',
      partitions: this.numPartitions,
      partitioner: keepsPartitioner ? this.partitioner : null,
      parents: [this.lineage],
      operation,
    })
  }

  /** A new RDD of this context with that lineage. @internal */
  derive<U>(lineage: NewLineage): RDD<U> {
    return new RDD(this.context, { ...lineage, id: this.context.nextRddId(), storageLevel: null })
  }

  /** One record per non-empty partition: its records reduced. @internal */
  reducePartitions(f: TaskFunction): RDD<T> {
    return this.mapped<T[]>({
      type: 'fold',
      zero: emptyReduction(),
      add: reduceStep(f),
      finish: reductionValue(),
    }).mapped({
      type: 'flatMap',
      f: identity(),
    })
  }

  async #collectFor(action: string): Promise<T[]> {
    return (await this.#run(this.lineage, action)).flat()
  }

  #run(lineage: Lineage, action: string, partitions: number[] | null = null): Promise<T[][]> {
    return this.context.runner.collect(lineage, partitions, this.context.describeJob(action)) as Promise<T[][]>
  }
}

/** A node whose partitions hold one number each: how many records the partition has. @internal */
export function countRecords(lineage: Lineage): Lineage {
  return {
    type: 'mapped',
    id: -1,
    partitions: lineage.partitions,
    partitioner: null,
    storageLevel: null,
    parents: [lineage],
    operation: { type: 'fold', zero: constant(0), add: increment(), finish: null },
  }
}

type Reduction = { value: unknown } | null

const constant = libraryFunction('constant', (value: unknown) => () => value)
const increment = libraryFunction('increment', () => (count: number) => count + 1)
const identity = libraryFunction('identity', () => (record: unknown) => record)
const callEach = libraryFunction('callEach', (f: (record: unknown) => void) => (_: null, record: unknown) => {
  f(record)
  return null
})
const forEffect = libraryFunction(
  'forEffect',
  (f: (r: unknown, p: number) => unknown) => async (records: unknown, partition: number) => {
    await f(records, partition)
    return []
  },
)
const emptyReduction = libraryFunction('emptyReduction', () => (): Reduction => null)
const reduceStep = libraryFunction(
  'reduceStep',
  (f: (a: unknown, b: unknown) => unknown) => (state: Reduction, record: unknown) => {
    if (state === null) return { value: record }
    state.value = f(state.value, record)
    return state
  },
)
const reductionValue = libraryFunction(
  'reductionValue',
  () => (state: Reduction) => (state === null ? [] : [state.value]),
)
const takeFirst = libraryFunction('take', (n: number) => (records: Iterable<unknown>) => {
  const taken: unknown[] = []
  if (n > 0) {
    for (const record of records) if (taken.push(record) >= n) break
  }
  return taken
})
