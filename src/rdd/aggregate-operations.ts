/** Actions that make one result of all records, and the trees that let partitions do most of the merging. */
import { MillraceError } from '../errors.js'
import { shuffled } from './combination.js'
import { HyperLogLog, sketchBits } from './hyper-log-log.js'
import { compareKeys, KeyedMap } from './keys.js'
import { operatorFailure } from './operator-failure.js'
import type { Item, Pair } from './pair.js'
import { HashPartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { SetOperations } from './set-operations.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

export abstract class AggregateOperations extends SetOperations {
  /** All records made one by `f`, which must be associative and commutative. Rejects with `EMPTY_COLLECTION` when there are none. */
  async reduce<T extends Item>(this: RDD<T>, f: (a: T, b: T) => T): Promise<T> {
    const merge = userFunction(f)
    const partials = (await this.reducePartitions(merge).run('reduce')).flat()
    if (partials.length === 0) throw emptyCollection('reduce')
    return merged(partials, merge)
  }

  /** As `reduce`, partial results merged in `depth` levels beside the data before the rest comes here. */
  async treeReduce<T extends Item>(this: RDD<T>, f: (a: T, b: T) => T, depth = 2): Promise<T> {
    const merge = userFunction(f)
    const partials = (await inTree(this.reducePartitions(merge), merge, depth).run('treeReduce')).flat()
    if (partials.length === 0) throw emptyCollection('treeReduce')
    return merged(partials, merge)
  }

  /** As `reduce`, starting from `zero` in every partition and once more when their results are merged. An empty RDD gives `zero`. */
  async fold<T extends Item>(this: RDD<T>, zero: T, f: (a: T, b: T) => T): Promise<T> {
    const merge = userFunction(f)
    const partials = await this.mapped<T>({ type: 'fold', zero: copyOf(zero), add: merge, finish: null }).run('fold')
    return merged([structuredClone(zero), ...partials.flat()], merge)
  }

  /** As `fold`, with a result of another type: `sequence` adds a record, `combine` merges two results. */
  aggregate<T, U extends [] | readonly unknown[]>(
    this: RDD<T>,
    zero: U,
    sequence: (result: U, record: T) => U,
    combine: (a: U, b: U) => U,
  ): Promise<U>
  aggregate<T, U>(this: RDD<T>, zero: U, sequence: (result: U, record: T) => U, combine: (a: U, b: U) => U): Promise<U>
  async aggregate<T, U>(
    this: RDD<T>,
    zero: U,
    sequence: (result: U, record: T) => U,
    combine: (a: U, b: U) => U,
  ): Promise<U> {
    const add = userFunction(sequence)
    const merge = userFunction(combine)
    const partials = await this.mapped<U>({ type: 'fold', zero: copyOf(zero), add, finish: null }).run('aggregate')
    return merged([structuredClone(zero), ...partials.flat()], merge)
  }

  /** As `aggregate`, partial results merged in `depth` levels beside the data; `zero` counts once per partition only. */
  treeAggregate<T, U extends [] | readonly unknown[]>(
    this: RDD<T>,
    zero: U,
    sequence: (result: U, record: T) => U,
    combine: (a: U, b: U) => U,
    depth?: number,
  ): Promise<U>
  treeAggregate<T, U>(
    this: RDD<T>,
    zero: U,
    sequence: (result: U, record: T) => U,
    combine: (a: U, b: U) => U,
    depth?: number,
  ): Promise<U>
  async treeAggregate<T, U>(
    this: RDD<T>,
    zero: U,
    sequence: (result: U, record: T) => U,
    combine: (a: U, b: U) => U,
    depth = 2,
  ): Promise<U> {
    const add = userFunction(sequence)
    const merge = userFunction(combine)
    const folded = this.mapped<U>({ type: 'fold', zero: copyOf(zero), add, finish: null })
    const partials = (await inTree(folded, merge, depth).run('treeAggregate')).flat()
    return partials.length === 0 ? structuredClone(zero) : merged(partials, merge)
  }

  /** The greatest record, in the order of `compare`, or in the natural one. Rejects with `EMPTY_COLLECTION` when there is none. */
  max<T>(this: RDD<T>, compare?: (a: T, b: T) => number): Promise<T> {
    return extreme(this, 'max', compare, 1)
  }

  /** The least record; see `max`. */
  min<T>(this: RDD<T>, compare?: (a: T, b: T) => number): Promise<T> {
    return extreme(this, 'min', compare, -1)
  }

  /** How often each record occurs. Records that are equal by value count together; the first of them is the key. */
  async countByValue<T>(this: RDD<T>): Promise<Map<T, number>> {
    const counts = await this.valueCounts().run('countByValue')
    const total = new KeyedMap<number>()
    for (const [value, count] of counts.flat()) total.set(value, (total.get(value) ?? 0) + count)
    return new Map(total.entries() as Iterable<[T, number]>)
  }

  /** Per partition, each distinct record with the number of times it occurs. @internal */
  valueCounts<T>(this: RDD<T>): RDD<Pair<T, number>> {
    return this.mapped({ type: 'iterate', f: countValues() })
  }

  /** About how many different records there are, with a relative standard deviation of `relativeSd`. HyperLogLog, some kilobytes whatever the size. */
  async countApproxDistinct<T>(this: RDD<T>, relativeSd = 0.05): Promise<number> {
    const bits = sketchBits(relativeSd)
    const sketches = await this.mapped<Uint8Array>({ type: 'iterate', f: sketch(bits) }).run('countApproxDistinct')
    const all = new HyperLogLog(bits)
    for (const registers of sketches.flat()) all.merge(registers)
    return all.estimate()
  }
}

/** The error of an action that has no result for an empty RDD. @internal */
export function emptyCollection(action: string): MillraceError {
  return new MillraceError('EMPTY_COLLECTION', `${action} of an empty RDD has no result.`)
}

/** Partial results merged until few partitions are left. Spark's way: each level divides their number by the same scale. */
function inTree<U>(partials: RDD<U>, merge: TaskFunction, depth: number): RDD<U> {
  if (!Number.isInteger(depth) || depth < 1)
    throw new MillraceError('ILLEGAL_ARGUMENT', `The depth must be a whole number from 1 up, not ${depth}.`)
  const scale = Math.max(Math.ceil(partials.numPartitions ** (1 / depth)), 2)
  let level = partials
  while (level.numPartitions > scale + Math.ceil(level.numPartitions / scale)) {
    const partitioner = new HashPartitioner(Math.floor(level.numPartitions / scale))
    const keyed = level.mapped<Pair<number, U>>({ type: 'iterate', f: keyedByPartition(partitioner.partitions) })
    const combiner = { create: itself(), mergeValue: merge, mergeCombiners: merge, mapSide: true }
    level = shuffled<number, U>(keyed, partitioner, combiner).mapped({ type: 'map', f: valueOfNumbered() })
  }
  return level
}

async function extreme<T>(
  rdd: RDD<T>,
  action: string,
  compare: ((a: T, b: T) => number) | undefined,
  sign: 1 | -1,
): Promise<T> {
  const order = compare === undefined ? naturalOrder() : userFunction(compare)
  const choose = chooser(order, sign)
  const partials = (await rdd.reducePartitions(choose).run(action)).flat()
  if (partials.length === 0) throw emptyCollection(action)
  return merged(partials, choose)
}

/** Results of partitions made one, in the driver. What the function throws names its operator and shows the result it was given. */
function merged<U>(partials: readonly U[], merge: TaskFunction): U {
  let i = 0
  try {
    let result = partials[i++]!
    for (; i < partials.length; i++) result = merge.call(result, partials[i])
    return result
  } catch (error) {
    throw operatorFailure(error, merge, partials[i])
  }
}

/** The natural order as a task function. @internal */
export const naturalOrder: () => TaskFunction = libraryFunction('naturalOrder', () => compareKeys)

const itself = libraryFunction('itself', () => (value: unknown) => value)
const valueOfNumbered = libraryFunction(
  'valueOf',
  () =>
    ([, value]: Pair<unknown, unknown>) =>
      value,
)
const copyOf = libraryFunction('copyOf', (value: unknown) => () => structuredClone(value))
const chooser = libraryFunction(
  'chooser',
  (compare: (a: unknown, b: unknown) => number, sign: number) => (a: unknown, b: unknown) =>
    compare(a, b) * sign >= 0 ? a : b,
)
const keyedByPartition = libraryFunction(
  'keyedByPartition',
  (partitions: number) => (records: Iterable<unknown>, partition: number) =>
    Array.from(records, (record) => [partition % partitions, record]),
)
const countValues = libraryFunction('countValues', () => (records: Iterable<unknown>) => {
  const counts = new KeyedMap<number>()
  for (const record of records) counts.set(record, (counts.get(record) ?? 0) + 1)
  return counts
})
const sketch = libraryFunction('sketch', (bits: number) => (records: Iterable<unknown>) => {
  const seen = new HyperLogLog(bits)
  for (const record of records) seen.add(record)
  return [seen.registers]
})
