/**
 * The operations of RDDs whose records are pairs, as methods with a `this: RDD<Pair<K, V>>` type: calling one on an RDD of
 * anything else does not compile. `combineByKey` and `cogroup` are the two everything else is made of.
 */
import { cogrouped, combined, type Partitioning, shuffled, toPartitioner } from './combination.js'
import type { Item, Pair } from './pair.js'
import { PartitionOperations } from './partition-operations.js'
import { samePartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

export abstract class PairRddOperations extends PartitionOperations {
  /** `f` of every value; keys and partitioner stay. */
  mapValues<K, V, W extends Item>(this: RDD<Pair<K, V>>, f: (value: V) => W): RDD<Pair<K, W>> {
    return this.mapped({ type: 'mapValues', f: userFunction(f) }, true)
  }

  /** A pair for every item of the iterable `f` returns; keys and partitioner stay. */
  flatMapValues<K, V, W extends Item>(this: RDD<Pair<K, V>>, f: (value: V) => Iterable<W>): RDD<Pair<K, W>> {
    return this.mapped({ type: 'flatMapValues', f: userFunction(f) }, true)
  }

  /** Values of one key made one by `f`, which must be associative; combined before and after the shuffle. */
  reduceByKey<K, V>(this: RDD<Pair<K, V>>, f: (a: V, b: V) => V, partitioning?: Partitioning): RDD<Pair<K, V>> {
    return this.reducedByKey(userFunction(f), partitioning)
  }

  /** `reduceByKey` with a function that has its name. @internal */
  reducedByKey<K, V>(this: RDD<Pair<K, V>>, f: TaskFunction, partitioning?: Partitioning): RDD<Pair<K, V>> {
    return combined(this, { create: first(), mergeValue: f, mergeCombiners: f, mapSide: true }, partitioning)
  }

  /** All values of each key in an array, in the order of the partitions they came from. */
  groupByKey<K, V>(this: RDD<Pair<K, V>>, partitioning?: Partitioning): RDD<Pair<K, V[]>> {
    return combined(
      this,
      { create: listOf(), mergeValue: append(), mergeCombiners: concatenate(), mapSide: false },
      partitioning,
    )
  }

  /** Spark's general per-key aggregate: `create` from a key's first value, `mergeValue` within a partition, `mergeCombiners` across them. */
  combineByKey<K, V, C extends Item>(
    this: RDD<Pair<K, V>>,
    create: (value: V) => C,
    mergeValue: (combined: C, value: V) => C,
    mergeCombiners: (a: C, b: C) => C,
    partitioning?: Partitioning,
    mapSideCombine = true,
  ): RDD<Pair<K, C>> {
    const combiner = {
      create: userFunction(create),
      mergeValue: userFunction(mergeValue),
      mergeCombiners: userFunction(mergeCombiners),
      mapSide: mapSideCombine,
    }
    return combined(this, combiner, partitioning)
  }

  /** Moves each pair to the partition of its key. Returns this RDD when it already lies so. */
  partitionBy<K, V>(this: RDD<Pair<K, V>>, partitioning: Partitioning): RDD<Pair<K, V>> {
    const partitioner = toPartitioner(partitioning)
    if (samePartitioner(this.partitioner, partitioner)) return this
    return shuffled(this, partitioner, null)
  }

  /** For each key of either, the values of both. */
  cogroup<K, V, W>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, W>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, readonly [V[], W[]]>> {
    return cogrouped<K, readonly [V[], W[]]>([this, other], partitioning)
  }

  /** Every combination of values with the same key. */
  join<K, V, W>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, W>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, readonly [V, W]>> {
    return this.cogroup(other, partitioning).mapped({ type: 'flatMapValues', f: innerJoin() }, true)
  }

  /** As `join`, keys of this side kept with `null` when the other has none. */
  leftOuterJoin<K, V, W>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, W>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, readonly [V, W | null]>> {
    return this.cogroup(other, partitioning).mapped({ type: 'flatMapValues', f: outerJoin(false, true) }, true)
  }

  /** As `join`, keys of the other side kept with `null` when this has none. */
  rightOuterJoin<K, V, W>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, W>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, readonly [V | null, W]>> {
    return this.cogroup(other, partitioning).mapped({ type: 'flatMapValues', f: outerJoin(true, false) }, true)
  }

  /** As `join`, keys of either side kept, `null` where one has none. */
  fullOuterJoin<K, V, W>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, W>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, readonly [V | null, W | null]>> {
    return this.cogroup(other, partitioning).mapped({ type: 'flatMapValues', f: outerJoin(true, true) }, true)
  }
}

const first = libraryFunction('first', () => (value: unknown) => value)
const listOf = libraryFunction('listOf', () => (value: unknown) => [value])
const append = libraryFunction('append', () => (list: unknown[], value: unknown) => {
  list.push(value)
  return list
})
const concatenate = libraryFunction('concatenate', () => (a: unknown[], b: unknown[]) => {
  for (let i = 0; i < b.length; i++) a.push(b[i])
  return a
})

const innerJoin = libraryFunction(
  'innerJoin',
  () =>
    ([left, right]: [unknown[], unknown[]]) =>
      left.flatMap((l) => right.map((r) => [l, r])),
)
const outerJoin = libraryFunction(
  'outerJoin',
  (leftMayMiss: boolean, rightMayMiss: boolean) =>
    ([left, right]: [unknown[], unknown[]]) => {
      const ls = left.length === 0 && leftMayMiss ? [null] : left
      const rs = right.length === 0 && rightMayMiss ? [null] : right
      return ls.flatMap((l) => rs.map((r) => [l, r]))
    },
)
