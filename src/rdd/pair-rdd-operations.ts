/**
 * The operations of RDDs whose records are pairs, as methods with a `this: RDD<Pair<K, V>>` type: calling one on an RDD of
 * anything else does not compile. `combineByKey` and `cogroup` are the two everything else is made of.
 */
import { combined, type Partitioning, shuffled, toPartitioner } from './combination.js'
import type { Item, Pair } from './pair.js'
import { PairRddActions } from './pair-rdd-actions.js'
import { samePartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { keysOf } from './set-operations.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

export abstract class PairRddOperations extends PairRddActions {
  /** `f` of every value; keys and partitioner stay. */
  mapValues<K, V, W extends Item>(this: RDD<Pair<K, V>>, f: (value: V) => W): RDD<Pair<K, W>> {
    return this.mapped({ type: 'mapValues', f: userFunction(f) }, true)
  }

  /** A pair for every item of the iterable `f` returns; keys and partitioner stay. */
  flatMapValues<K, V, W extends Item>(this: RDD<Pair<K, V>>, f: (value: V) => Iterable<W>): RDD<Pair<K, W>> {
    return this.mapped({ type: 'flatMapValues', f: userFunction(f) }, true)
  }

  /** Values of one key made one by `f`, which must be associative; combined before and after the shuffle. */
  reduceByKey<K, V extends Item>(
    this: RDD<Pair<K, V>>,
    f: (a: V, b: V) => V,
    partitioning?: Partitioning,
  ): RDD<Pair<K, V>> {
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

  /**
   * Spark's general per-key aggregate: `create` from a key's first value, `mergeValue` within a partition, `mergeCombiners` across
   * them. A list that grows must be told from a tuple: `(value): number[] => [value]`.
   */
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

  /** As `reduceByKey` to a result of another type: `sequence` adds a value to a copy of `zero`, `combine` merges two results of a key. */
  aggregateByKey<K, V, C extends [] | readonly unknown[]>(
    this: RDD<Pair<K, V>>,
    zero: C,
    sequence: (result: C, value: V) => C,
    combine: (a: C, b: C) => C,
    partitioning?: Partitioning,
  ): RDD<Pair<K, C>>
  aggregateByKey<K, V, C>(
    this: RDD<Pair<K, V>>,
    zero: C,
    sequence: (result: C, value: V) => C,
    combine: (a: C, b: C) => C,
    partitioning?: Partitioning,
  ): RDD<Pair<K, C>>
  aggregateByKey<K, V, C>(
    this: RDD<Pair<K, V>>,
    zero: C,
    sequence: (result: C, value: V) => C,
    combine: (a: C, b: C) => C,
    partitioning?: Partitioning,
  ): RDD<Pair<K, C>> {
    const add = userFunction(sequence)
    const merge = userFunction(combine)
    const combiner = { create: startFrom(zero, add), mergeValue: add, mergeCombiners: merge, mapSide: true }
    return combined(this, combiner, partitioning)
  }

  /** As `reduceByKey`, starting from `zero` once for each key in each partition. */
  foldByKey<K, V extends Item>(
    this: RDD<Pair<K, V>>,
    zero: V,
    f: (a: V, b: V) => V,
    partitioning?: Partitioning,
  ): RDD<Pair<K, V>> {
    const merge = userFunction(f)
    const combiner = { create: startFrom(zero, merge), mergeValue: merge, mergeCombiners: merge, mapSide: true }
    return combined(this, combiner, partitioning)
  }

  /** The keys. */
  keys<K>(this: RDD<Pair<K, unknown>>): RDD<K> {
    return keysOf(this)
  }

  /** The values. */
  values<V>(this: RDD<Pair<unknown, V>>): RDD<V> {
    return this.mapped({ type: 'map', f: valueOnly() })
  }

  /** Moves each pair to the partition of its key. Returns this RDD when it already lies so. */
  partitionBy<K, V>(this: RDD<Pair<K, V>>, partitioning: Partitioning): RDD<Pair<K, V>> {
    const partitioner = toPartitioner(partitioning)
    if (samePartitioner(this.partitioner, partitioner)) return this
    return shuffled(this, partitioner, null)
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
const startFrom = libraryFunction(
  'startFrom',
  (zero: unknown, add: (result: unknown, value: unknown) => unknown) => (value: unknown) =>
    add(structuredClone(zero), value),
)
const valueOnly = libraryFunction(
  'valueOnly',
  () =>
    ([, value]: Pair<unknown, unknown>) =>
      value,
)
