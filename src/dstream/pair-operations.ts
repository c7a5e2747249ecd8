/** The operations of streams of pairs, batch by batch, as methods with a `this: DStream<Pair<K, V>>` type: on any other stream they do not compile. */
import { type Partitioning, streamPartitioning } from '../rdd/combination.js'
import type { Item, Pair } from '../rdd/pair.js'
import type { RDD } from '../rdd/rdd.js'
import type { DStream } from './dstream.js'
import { StateOperations } from './state-operations.js'

export abstract class PairOperations extends StateOperations {
  /** `f` of every value; keys stay where they are. */
  mapValues<K, V, W extends Item>(this: DStream<Pair<K, V>>, f: (value: V) => W): DStream<Pair<K, W>> {
    return this.derive('mapValues', (rdd) => rdd.mapValues(f))
  }

  /** A pair for every item of the iterable `f` returns; keys stay where they are. */
  flatMapValues<K, V, W extends Item>(this: DStream<Pair<K, V>>, f: (value: V) => Iterable<W>): DStream<Pair<K, W>> {
    return this.derive('flatMapValues', (rdd) => rdd.flatMapValues(f))
  }

  /** Per batch, the values of each key made one by `f`, which must be associative. */
  reduceByKey<K, V extends Item>(
    this: DStream<Pair<K, V>>,
    f: (a: V, b: V) => V,
    partitioning?: Partitioning,
  ): DStream<Pair<K, V>> {
    return this.derive('reduceByKey', (rdd) => rdd.reduceByKey(f, streamPartitioning([rdd], partitioning)))
  }

  /** Per batch, all values of each key in an array. */
  groupByKey<K, V>(this: DStream<Pair<K, V>>, partitioning?: Partitioning): DStream<Pair<K, V[]>> {
    return this.derive('groupByKey', (rdd) => rdd.groupByKey(streamPartitioning([rdd], partitioning)))
  }

  /** Per batch, Spark's general aggregate; see `RDD.combineByKey`. */
  combineByKey<K, V, C extends Item>(
    this: DStream<Pair<K, V>>,
    create: (value: V) => C,
    mergeValue: (combined: C, value: V) => C,
    mergeCombiners: (a: C, b: C) => C,
    partitioning?: Partitioning,
    mapSideCombine = true,
  ): DStream<Pair<K, C>> {
    return this.derive('combineByKey', (rdd) =>
      rdd.combineByKey(create, mergeValue, mergeCombiners, streamPartitioning([rdd], partitioning), mapSideCombine),
    )
  }

  /** Moves each pair to the partition of its key. */
  partitionBy<K, V>(this: DStream<Pair<K, V>>, partitioning: Partitioning): DStream<Pair<K, V>> {
    return this.derive('partitionBy', (rdd) => rdd.partitionBy(partitioning))
  }

  /** Per batch, for each key of either stream the values of both. To join across batches, window first. */
  cogroup<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitioning?: Partitioning,
  ): DStream<Pair<K, readonly [V[], W[]]>> {
    return this.combine('cogroup', other, (a, b: RDD<Pair<K, W>>) =>
      a.cogroup(b, streamPartitioning([a, b], partitioning)),
    )
  }

  /** Per batch, every combination of values with the same key. */
  join<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitioning?: Partitioning,
  ): DStream<Pair<K, readonly [V, W]>> {
    return this.combine('join', other, (a, b: RDD<Pair<K, W>>) => a.join(b, streamPartitioning([a, b], partitioning)))
  }

  /** As `join`, keys of this stream kept with `null` when the other has none. */
  leftOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitioning?: Partitioning,
  ): DStream<Pair<K, readonly [V, W | null]>> {
    return this.combine('leftOuterJoin', other, (a, b: RDD<Pair<K, W>>) =>
      a.leftOuterJoin(b, streamPartitioning([a, b], partitioning)),
    )
  }

  /** As `join`, keys of the other stream kept with `null` when this one has none. */
  rightOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitioning?: Partitioning,
  ): DStream<Pair<K, readonly [V | null, W]>> {
    return this.combine('rightOuterJoin', other, (a, b: RDD<Pair<K, W>>) =>
      a.rightOuterJoin(b, streamPartitioning([a, b], partitioning)),
    )
  }

  /** As `join`, keys of either stream kept, `null` where one has none. */
  fullOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitioning?: Partitioning,
  ): DStream<Pair<K, readonly [V | null, W | null]>> {
    return this.combine('fullOuterJoin', other, (a, b: RDD<Pair<K, W>>) =>
      a.fullOuterJoin(b, streamPartitioning([a, b], partitioning)),
    )
  }
}
