/** Order: sorting, the smallest and the largest, ranges of keys. */
import { MillraceError } from '../errors.js'
import { naturalOrder } from './aggregate-operations.js'
import { type Partitioning, shuffled, toPartitioner } from './combination.js'
import { compareKeys } from './keys.js'
import type { Item, Pair } from './pair.js'
import { RangePartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { SamplingOperations } from './sampling-operations.js'
import { libraryFunction, userFunction } from './task-function.js'

export abstract class OrderedOperations extends SamplingOperations {
  /** The records in the order of what `f` makes of them, across partitions. Equal ones stay in the order they come in. A sample of the keys is taken first. */
  sortBy<T, K extends Item>(
    this: RDD<T>,
    f: (record: T) => K,
    ascending = true,
    partitions: number = Math.max(this.numPartitions, 1),
  ): RDD<T> {
    return this.keyBy(f).sortByKey(ascending, partitions).mapped({ type: 'map', f: valueOfKeyed() })
  }

  /**
   * The pairs in the order of their keys, across partitions: numbers by value, text by code unit, arrays item by item; null
   * and undefined first, NaN last.
   */
  sortByKey<K, V>(
    this: RDD<Pair<K, V>>,
    ascending = true,
    partitions: number = Math.max(this.numPartitions, 1),
  ): RDD<Pair<K, V>> {
    const partitioner = new RangePartitioner(partitions, this, ascending)
    return shuffled<K, V>(this, partitioner, null).mapped({ type: 'iterate', f: sortPairs(ascending) }, true)
  }

  /** Moves each pair to the partition of its key and sorts the partitions by key. */
  repartitionAndSortWithinPartitions<K, V>(this: RDD<Pair<K, V>>, partitioning: Partitioning): RDD<Pair<K, V>> {
    const moved = shuffled<K, V>(this, toPartitioner(partitioning), null)
    return moved.mapped({ type: 'iterate', f: sortPairs(true) }, true)
  }

  /** The pairs whose key lies from `lower` to `upper`, both included. */
  filterByRange<K, V>(this: RDD<Pair<K, V>>, lower: K, upper: K): RDD<Pair<K, V>> {
    return this.mapped({ type: 'filter', f: keyBetween(lower, upper) }, true)
  }

  /** The `n` least records, in order of `compare` or in the natural one. */
  takeOrdered<T>(this: RDD<T>, n: number, compare?: (a: T, b: T) => number): Promise<T[]> {
    return least(this, 'takeOrdered', n, compare, 1)
  }

  /** The `n` greatest records, the greatest first. */
  top<T>(this: RDD<T>, n: number, compare?: (a: T, b: T) => number): Promise<T[]> {
    return least(this, 'top', n, compare, -1)
  }
}

async function least<T>(
  rdd: RDD<T>,
  action: string,
  n: number,
  compare: ((a: T, b: T) => number) | undefined,
  sign: 1 | -1,
): Promise<T[]> {
  if (!Number.isInteger(n) || n < 0)
    throw new MillraceError('ILLEGAL_ARGUMENT', `The number of records must be a whole number from 0 up, not ${n}.`)
  const order = compare === undefined ? naturalOrder() : userFunction(compare)
  if (n === 0) return []
  const kept = leastOf(order, n, sign)
  const partials = await rdd.mapped<T>({ type: 'iterate', f: kept }).run(action)
  return kept.call(partials.flat()) as T[]
}

type Compare = (a: unknown, b: unknown) => number

const leastOf = libraryFunction(
  'leastOf',
  (compare: Compare, n: number, sign: number) => (records: Iterable<unknown>) => {
    const inOrder = (a: unknown, b: unknown): number => compare(a, b) * sign
    const kept: unknown[] = []
    for (const record of records) {
      // Sorted now and then, so that a record costs the logarithm of what is kept.
      if (kept.push(record) < 2 * n + 1024) continue
      kept.sort(inOrder).length = n
    }
    return kept.sort(inOrder).slice(0, n)
  },
)
const sortPairs = libraryFunction(
  'sortPairs',
  (ascending: boolean) => (pairs: Iterable<Pair<unknown, unknown>>) =>
    ascending ? [...pairs].sort((a, b) => compareKeys(a[0], b[0])) : [...pairs].sort((a, b) => compareKeys(b[0], a[0])),
)
const valueOfKeyed = libraryFunction(
  'valueOfKeyed',
  () =>
    ([, value]: Pair<unknown, unknown>) =>
      value,
)
const keyBetween = libraryFunction(
  'keyBetween',
  (lower: unknown, upper: unknown) =>
    ([key]: Pair<unknown, unknown>) =>
      compareKeys(key, lower) >= 0 && compareKeys(key, upper) <= 0,
)
