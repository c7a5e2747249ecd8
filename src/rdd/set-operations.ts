/** RDDs as multisets and as sequences: distinct, intersection, difference, products, zips, numbering, grouping. */
import { MillraceError } from '../errors.js'
import { cogrouped, combined, type Partitioning, shuffled, unite, united, zipped } from './combination.js'
import { countRecords } from './count-records.js'
import { KeyedMap } from './keys.js'
import type { PartitionRef } from './lineage.js'
import type { Item, Pair } from './pair.js'
import { PartitionOperations } from './partition-operations.js'
import { HashPartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

export abstract class SetOperations extends PartitionOperations {
  /** Records of all, duplicates kept. Partitions add up; with equal partitioners they merge pairwise. */
  union<T, U extends Item>(this: RDD<T>, ...others: RDD<U>[]): RDD<T | U> {
    return unite<T | U>([this, ...others])
  }

  /** Each record once; records compare by value. */
  distinct<T>(this: RDD<T>, partitioning?: Partitioning): RDD<T> {
    const combiner = { create: nothing(), mergeValue: nothing(), mergeCombiners: nothing(), mapSide: true }
    return keysOf(combined<T, null>(asKeys(this), combiner, partitioning))
  }

  /** The records both have, each once. */
  intersection<T>(this: RDD<T>, other: RDD<T>, partitioning?: Partitioning): RDD<T> {
    const groups = cogrouped<T, readonly [null[], null[]]>([asKeys(this), asKeys(other)], partitioning)
    return keysOf(groups.mapped<Pair<T, unknown>>({ type: 'filter', f: bothSides() }, true))
  }

  /** The records that `other` does not have, duplicates kept. */
  subtract<T>(this: RDD<T>, other: RDD<T>, partitioning?: Partitioning): RDD<T> {
    return keysOf(without(asKeys(this), asKeys(other), partitioning))
  }

  /** Every record of this with every record of `other`, in as many partitions as the two have multiplied. */
  cartesian<T, U>(this: RDD<T>, other: RDD<U>): RDD<Pair<T, U>> {
    const count = other.numPartitions
    const pick = (choose: (i: number) => number): PartitionRef[][] =>
      Array.from({ length: this.numPartitions * count }, (_, i) => [{ parent: 0, partition: choose(i) }])
    const left = united(
      [this],
      pick((i) => Math.floor(i / count)),
      null,
    )
    const right = united(
      [other],
      pick((i) => i % count),
      null,
    )
    return zipped([left, right], product(), null)
  }

  /** Pairs by position. Both must have as many partitions, else `ILLEGAL_ARGUMENT`, and as many records in each, else the job fails. */
  zip<T, U>(this: RDD<T>, other: RDD<U>): RDD<Pair<T, U>> {
    return zipped([this, other], zipRecords(), null)
  }

  /** `f` of the iterators over the same partition of this and one, two or three others, which must have as many partitions. */
  zipPartitions<T, A, U extends Item>(
    this: RDD<T>,
    others: readonly [RDD<A>],
    f: (records: Iterable<T>, a: Iterable<A>) => Iterable<U>,
    preservesPartitioning?: boolean,
  ): RDD<U>
  zipPartitions<T, A, B, U extends Item>(
    this: RDD<T>,
    others: readonly [RDD<A>, RDD<B>],
    f: (records: Iterable<T>, a: Iterable<A>, b: Iterable<B>) => Iterable<U>,
    preservesPartitioning?: boolean,
  ): RDD<U>
  zipPartitions<T, A, B, C, U extends Item>(
    this: RDD<T>,
    others: readonly [RDD<A>, RDD<B>, RDD<C>],
    f: (records: Iterable<T>, a: Iterable<A>, b: Iterable<B>, c: Iterable<C>) => Iterable<U>,
    preservesPartitioning?: boolean,
  ): RDD<U>
  zipPartitions<T, U>(
    this: RDD<T>,
    others: readonly RDD<unknown>[],
    // biome-ignore lint/suspicious/noExplicitAny: the overloads say which records each side has
    f: (...sides: any[]) => Iterable<U>,
    preservesPartitioning = false,
  ): RDD<U> {
    return zipped([this, ...others], spread(userFunction(f)), preservesPartitioning ? this.partitioner : null)
  }

  /** Each record with its place in the whole RDD, from 0. The partitions are counted first, when there is more than one. */
  zipWithIndex<T>(this: RDD<T>): RDD<Pair<T, number>> {
    const { numPartitions } = this
    if (numPartitions <= 1) return zipped([this], numbered(), null)
    // Every partition is told how many records each one has: its own begin where the earlier ones end.
    const counts = this.derive<number>({ ...countRecords(this.lineage) })
    const told = counts.mapped<Pair<number, Pair<number, number>>>({ type: 'iterate', f: tellAll(numPartitions) })
    const offsets = shuffled<number, unknown>(told, new HashPartitioner(numPartitions), null)
    return zipped([this, offsets], numbered(), null)
  }

  /** Each record with a number no other has: `i * n + k` for the i-th record of partition k of n. Needs no job; leaves gaps. */
  zipWithUniqueId<T>(this: RDD<T>): RDD<Pair<T, number>> {
    return this.mapped({ type: 'iterate', f: uniqueIds(this.numPartitions) })
  }

  /** Each record after its key. */
  keyBy<T, K extends Item>(this: RDD<T>, f: (record: T) => K): RDD<Pair<K, T>> {
    return this.mapped({ type: 'map', f: withKey(userFunction(f)) })
  }

  /** The records of each key in an array. */
  groupBy<T, K extends Item>(this: RDD<T>, f: (record: T) => K, partitioning?: Partitioning): RDD<Pair<K, T[]>> {
    return this.keyBy(f).groupByKey(partitioning)
  }
}

/** The pairs of `rdd` whose key `other` does not have, lying as this does. @internal */
export function without<K, V>(
  rdd: RDD<Pair<K, V>>,
  other: RDD<Pair<K, unknown>>,
  partitioning: Partitioning | undefined,
): RDD<Pair<K, V>> {
  const placed = rdd.partitionBy(partitioning ?? rdd.partitioner ?? new HashPartitioner(Math.max(rdd.numPartitions, 1)))
  return zipped([placed, other.partitionBy(placed.partitioner!)], withoutKeys(), placed.partitioner)
}

function asKeys<T>(rdd: RDD<T>): RDD<Pair<T, null>> {
  return rdd.mapped({ type: 'map', f: asKey() })
}

/** The keys of pairs. @internal */
export function keysOf<K>(rdd: RDD<Pair<K, unknown>>): RDD<K> {
  return rdd.mapped({ type: 'map', f: keyOfPair() })
}

type AnyPair = Pair<unknown, unknown>

const nothing = libraryFunction('nothing', () => () => null)
const asKey = libraryFunction('asKey', () => (record: unknown) => [record, null])
const keyOfPair = libraryFunction(
  'keyOfPair',
  () =>
    ([key]: AnyPair) =>
      key,
)
const bothSides = libraryFunction(
  'bothSides',
  () =>
    ([, [left, right]]: Pair<unknown, [unknown[], unknown[]]>) =>
      left.length > 0 && right.length > 0,
)
const withoutKeys = libraryFunction('withoutKeys', () => {
  return function* ([pairs, others]: [Iterable<AnyPair>, Iterable<AnyPair>]) {
    const keys = new KeyedMap<true>()
    for (const [key] of others) keys.set(key, true)
    for (const pair of pairs) if (!keys.has(pair[0])) yield pair
  }
})
const product = libraryFunction('product', () => {
  return function* ([left, right]: [Iterable<unknown>, Iterable<unknown>]) {
    const rights = [...right]
    for (const l of left) for (const r of rights) yield [l, r]
  }
})
const zipRecords = libraryFunction('zipRecords', () => {
  return function* ([left, right]: [Iterable<unknown>, Iterable<unknown>]) {
    const rights = right[Symbol.iterator]()
    for (const l of left) {
      const r = rights.next()
      if (r.done === true) throw unequal()
      yield [l, r.value]
    }
    if (rights.next().done !== true) throw unequal()
  }
})
const spread: (f: TaskFunction) => TaskFunction = libraryFunction(
  'spread',
  (f: (...sides: unknown[]) => unknown) => (sides: unknown[]) => f(...sides),
)
const tellAll = libraryFunction('tellAll', (partitions: number) => {
  return function* (counts: Iterable<number>, partition: number) {
    for (const count of counts) for (let to = 0; to < partitions; to++) yield [to, [partition, count]]
  }
})
const numbered = libraryFunction('numbered', () => {
  return function* (
    [records, told]: [Iterable<unknown>, Iterable<Pair<number, Pair<number, number>>>?],
    partition: number,
  ) {
    let n = 0
    for (const [, [from, count]] of told ?? []) if (from < partition) n += count
    for (const record of records) yield [record, n++]
  }
})
const uniqueIds = libraryFunction('uniqueIds', (partitions: number) => {
  return function* (records: Iterable<unknown>, partition: number) {
    let id = partition
    for (const record of records) {
      yield [record, id]
      id += partitions
    }
  }
})
const withKey = libraryFunction('withKey', (f: (record: unknown) => unknown) => (record: unknown) => [
  f(record),
  record,
])

function unequal(): MillraceError {
  return new MillraceError('ILLEGAL_ARGUMENT', 'Can only zip RDDs with the same number of records in each partition.')
}
