/** RDD: a typed handle on a lineage node. Transformations make nodes; actions ask the context's runner to compute them. */
import { MillraceError } from '../errors.js'
import { AsyncActions } from './async-actions.js'
import { countRecords } from './count-records.js'
import type { NarrowOperation, NewLineage } from './lineage.js'
import type { Condition, Item } from './pair.js'
import { joined, type RecordArrays } from './record-arrays.js'
import { reduction } from './reduction.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

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
export class RDD<out T> extends AsyncActions {
  // Transformations, one record at a time

  /** `f` of every record. Forgets the partitioner. */
  map<U extends Item>(f: (record: T) => U): RDD<U> {
    return this.mapped({ type: 'map', f: userFunction(f) })
  }

  /** The records for which `f` is true. Keeps the partitioner. */
  filter<S extends T>(f: (record: T) => record is S): RDD<S>
  filter(f: (record: T) => Condition): RDD<T>
  filter(f: (record: T) => Condition): RDD<T> {
    return this.mapped({ type: 'filter', f: userFunction(f) }, true)
  }

  /** All records of the iterables `f` returns. */
  flatMap<U extends Item>(f: (record: T) => Iterable<U>): RDD<U> {
    return this.mapped({ type: 'flatMap', f: userFunction(f) })
  }

  // Actions

  /** Every record, in partition order. */
  async collect(): Promise<T[]> {
    return joined((await this.#run('collect', null)).flat())
  }

  /** How many records there are. */
  async count(): Promise<number> {
    const counts = await this.derive<number>(countRecords(this.lineage)).run('count')
    return counts.flat().reduce((a, b) => a + b, 0)
  }

  /** The first `n` records in partition order, computing no more partitions than that needs. */
  async take(n: number): Promise<T[]> {
    const taken: T[] = []
    const head = this.mapped<T>({ type: 'iterate', f: takeFirst(n) })
    const { takeScaleUp } = this.context
    let scanned = 0
    while (taken.length < n && scanned < this.numPartitions) {
      // Spark's steps: one partition first, then as many as the yield so far suggests, at most `takeScaleUp` times what was scanned.
      let next = 1
      if (scanned > 0) {
        const wanted =
          taken.length === 0 ? scanned * takeScaleUp : Math.ceil((1.5 * n * scanned) / taken.length) - scanned
        next = Math.max(Math.min(wanted, scanned * takeScaleUp), 1)
      }
      const range = Array.from({ length: Math.min(next, this.numPartitions - scanned) }, (_, i) => scanned + i)
      for (const records of await head.run('take', range)) {
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

  /** The records one after another; a partition is computed when the one before has been read. */
  async *toLocalIterator(): AsyncGenerator<T, void> {
    for (let partition = 0; partition < this.numPartitions; partition++) {
      for (const records of await this.run('toLocalIterator', [partition])) yield* records
    }
  }

  /** True if there is no record. */
  async isEmpty(): Promise<boolean> {
    return this.numPartitions === 0 || (await this.take(1)).length === 0
  }

  /**
   * Calls `f` for each record, beside the data; `f` may be async and is awaited before the next record.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'say', batchInterval: '1s' })
   * await sparkContext.parallelize(['a', 'b']).foreach((word) => console.log(word))
   * ```
   */
  async foreach(f: (record: T) => void | Promise<void>): Promise<void> {
    await this.mapped({ type: 'iterate', f: callEach(userFunction(f)) }).run('foreach')
  }

  /** Calls `f` once per partition, beside the data; `f` may be async and is awaited. */
  async foreachPartition(f: (records: IterableIterator<T>, partition: number) => void | Promise<void>): Promise<void> {
    await this.mapped({ type: 'iterate', f: forEffect(userFunction(f)) }).run('foreachPartition')
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
    return this.mapped<T[]>(reduction(f)).mapped({ type: 'flatMap', f: identity() })
  }

  /** The records of the partitions asked for, all when null, through a job of that name. @internal */
  async run(action: string, partitions: readonly number[] | null = null): Promise<T[][]> {
    return (await this.#run(action, partitions)).map(joined)
  }

  async #run(action: string, partitions: readonly number[] | null): Promise<RecordArrays<T>[]> {
    const { jobs, runner } = this.context
    this.context.assertRunning()
    const records = await jobs.run(action, (job) => runner.collect(this.lineage, partitions, job))
    await this.checkpointAsked()
    if (records.some(([first]) => first?.[0] instanceof Promise)) throw unawaited()
    return records as RecordArrays<T>[]
  }
}

function unawaited(): MillraceError {
  return new MillraceError(
    'ILLEGAL_ARGUMENT',
    'The records are promises: functions such as that of map are not awaited. Use mapPartitions with an async function.',
  )
}

const identity = libraryFunction(
  'identity',
  () => (record: unknown) => record,
  () => (record) => record,
)
const callEach = libraryFunction(
  'callEach',
  (f: (record: unknown) => unknown) => async (records: Iterable<unknown>) => {
    for (const record of records) {
      const called = f(record)
      if (called instanceof Promise) await called
    }
    return []
  },
)
const forEffect = libraryFunction(
  'forEffect',
  (f: (r: unknown, p: number) => unknown) => async (records: unknown, partition: number) => {
    await f(records, partition)
    return []
  },
)
const takeFirst = libraryFunction('take', (n: number) => (records: Iterable<unknown>) => {
  const taken: unknown[] = []
  if (n > 0) {
    for (const record of records) if (taken.push(record) >= n) break
  }
  return taken
})
