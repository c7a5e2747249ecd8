/** The operations of streams of pairs, as methods with a `this: DStream<Pair<K, V>>` type: on any other stream they do not compile. */
import type { Partitioning } from '../rdd/combination.js'
import type { Item, Pair } from '../rdd/pair.js'
import type { DStream } from './dstream.js'

export abstract class PairOperations {
  /** `f` of every value; keys stay. */
  mapValues<K, V, W extends Item>(this: DStream<Pair<K, V>>, f: (value: V) => W): DStream<Pair<K, W>> {
    return this.derive('mapValues', (rdd) => rdd.mapValues(f))
  }

  /** A pair for every item of the iterable `f` returns; keys stay. */
  flatMapValues<K, V, W extends Item>(this: DStream<Pair<K, V>>, f: (value: V) => Iterable<W>): DStream<Pair<K, W>> {
    return this.derive('flatMapValues', (rdd) => rdd.flatMapValues(f))
  }

  /** Per batch, the values of each key made one by `f`, which must be associative. */
  reduceByKey<K, V>(this: DStream<Pair<K, V>>, f: (a: V, b: V) => V, partitioning?: Partitioning): DStream<Pair<K, V>> {
    return this.derive('reduceByKey', (rdd) => rdd.reduceByKey(f, partitioning))
  }

  /** Per batch, all values of each key in an array. */
  groupByKey<K, V>(this: DStream<Pair<K, V>>, partitioning?: Partitioning): DStream<Pair<K, V[]>> {
    return this.derive('groupByKey', (rdd) => rdd.groupByKey(partitioning))
  }
}
