/** Several RDDs of pairs by key: cogroup and the joins made of it. */
import { cogrouped, type Partitioning } from './combination.js'
import type { Pair } from './pair.js'
import type { RDD } from './rdd.js'
import { SavingOperations } from './saving-operations.js'
import { without } from './set-operations.js'
import { libraryFunction } from './task-function.js'

export abstract class PairRddJoins extends SavingOperations {
  /** For each key of any, the values of each. */
  cogroup<K, V, W>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, W>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, readonly [V[], W[]]>> {
    return cogrouped<K, readonly [V[], W[]]>([this, other], partitioning)
  }

  /** As `cogroup`, with any number of others. */
  groupWith<K, V, O extends readonly RDD<Pair<K, unknown>>[]>(
    this: RDD<Pair<K, V>>,
    ...others: O
  ): RDD<Pair<K, readonly [V[], ...{ [I in keyof O]: O[I] extends RDD<Pair<K, infer W>> ? W[] : never }]>> {
    return cogrouped([this, ...others])
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

  /** The pairs whose key `other` does not have. */
  subtractByKey<K, V>(
    this: RDD<Pair<K, V>>,
    other: RDD<Pair<K, unknown>>,
    partitioning?: Partitioning,
  ): RDD<Pair<K, V>> {
    return without(this, other, partitioning)
  }
}

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
