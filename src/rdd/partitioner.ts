/** Which partition a key belongs to. Partitioners are plain data, compared by value, and give the same answer in every process. */
import { MillraceError } from '../errors.js'
import { compareKeys, hashKey } from './keys.js'
import type { Lineage } from './lineage.js'
import type { Pair } from './pair.js'
import { randomFrom } from './random.js'
import type { RDD } from './rdd.js'
import { type AnyFunction, libraryFunction, type TaskFunction, userFunction } from './task-function.js'

export type Partitioner = HashPartitioner | RangePartitioner | CustomPlacement

/** Spreads keys by their hash. Keys equal by value (`[1, 'a']`, `{ x: 1 }`) go to the same partition; null and undefined to partition 0. */
export class HashPartitioner {
  readonly type = 'hash'
  readonly partitions: number

  /** Throws `ILLEGAL_ARGUMENT` unless `partitions` is a whole number from 1 up. */
  constructor(partitions: number) {
    assertPartitions(partitions)
    this.partitions = partitions
  }
}

/**
 * Keeps keys in order: every key of partition i sorts before every key of partition i + 1, the other way round when not
 * ascending. Where to cut is seen from a sample of `rdd`'s keys, taken by a job of its own before the first shuffle that needs it.
 *
 * ```ts
 * import { RangePartitioner, StreamingContext } from 'millrace'
 * const { sparkContext } = new StreamingContext({ appName: 'ranges', batchInterval: '1s' })
 * const pairs = sparkContext.parallelize([3, 1, 2].map((n): [number, string] => [n, 'x']))
 * pairs.partitionBy(new RangePartitioner(2, pairs))
 * ```
 */
export class RangePartitioner {
  readonly type = 'range'
  readonly partitions: number
  readonly ascending: boolean
  /** The greatest key of each partition but the last; null until the sample has been taken. @internal */
  readonly bounds: readonly unknown[] | null
  /** Records `[key, weight]`. @internal */
  readonly sampled: Lineage | null

  constructor(partitions: number, keys: Sampled | { readonly bounds: readonly unknown[] }, ascending = true) {
    assertPartitions(partitions)
    this.partitions = partitions
    this.ascending = ascending
    this.bounds = 'bounds' in keys ? keys.bounds : null
    this.sampled =
      'bounds' in keys
        ? null
        : keys.mapped<unknown>({ type: 'iterate', f: sampleKeys(keysWanted(partitions, keys.numPartitions)) }).lineage
  }

  /** This partitioner with its bounds, from the records of `sampled`. @internal */
  bounded(sample: readonly unknown[]): RangePartitioner {
    const weighted = sample as readonly WeightedKey[]
    return new RangePartitioner(this.partitions, { bounds: rangeBounds(weighted, this.partitions) }, this.ascending)
  }
}

/** The part of an RDD of pairs that sampling needs. */
type Sampled = Pick<RDD<Pair<unknown, unknown>>, 'numPartitions' | 'mapped'>

/** A function of the user's from key to partition, as Spark's abstract class Partitioner. It must be the same in every process. */
export interface CustomPartitioner {
  readonly numPartitions: number
  /** From 0 to `numPartitions` - 1. */
  getPartition(key: unknown): number
}

/** A CustomPartitioner whose function has its name: what a lineage holds. */
export interface CustomPlacement {
  readonly type: 'custom'
  readonly partitions: number
  readonly f: TaskFunction
}

const placementFunctions = new WeakMap<CustomPartitioner, AnyFunction>()

/** Names the function of a user's partitioner in the open scope. The same partitioner always gives the same `call`. */
export function customPlacement(partitioner: CustomPartitioner): CustomPlacement {
  const { numPartitions } = partitioner
  assertPartitions(numPartitions)
  let call = placementFunctions.get(partitioner)
  if (call === undefined) {
    call = (key: unknown): number => {
      const partition = partitioner.getPartition(key)
      if (Number.isInteger(partition) && partition >= 0 && partition < numPartitions) return partition
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `getPartition returned ${partition}; expected a whole number from 0 to ${numPartitions - 1}.`,
      )
    }
    placementFunctions.set(partitioner, call)
  }
  return { type: 'custom', partitions: numPartitions, f: userFunction(call) }
}

/** Throws `ILLEGAL_ARGUMENT` unless `partitions` is a whole number from 1 up. */
export function assertPartitions(partitions: number): void {
  if (Number.isInteger(partitions) && partitions >= 1) return
  throw new MillraceError(
    'ILLEGAL_ARGUMENT',
    `The number of partitions must be a whole number from 1 up, not ${partitions}.`,
  )
}

/** A key of the sample and how many records it stands for. */
type WeightedKey = readonly [key: unknown, weight: number]

/** Spark's numbers: twenty keys a range in all, three times as many asked of each partition in case they differ in size. */
function keysWanted(partitions: number, ofPartitions: number): number {
  return Math.ceil((3 * Math.min(20 * partitions, 1e6)) / Math.max(ofPartitions, 1))
}

const sampleKeys = libraryFunction(
  'sampleKeys',
  (count: number) => (records: Iterable<Pair<unknown, unknown>>, partition: number) => {
    const random = randomFrom(partition)
    const keys: unknown[] = []
    let n = 0
    for (const [key] of records) {
      if (n < count) keys.push(key)
      else {
        const place = Math.floor(random() * (n + 1))
        if (place < count) keys[place] = key
      }
      n++
    }
    return keys.map((key): WeightedKey => [key, n / keys.length])
  },
)

/** The keys that cut a sample into `partitions` ranges of about equal weight; fewer when keys repeat. */
export function rangeBounds(sample: readonly WeightedKey[], partitions: number): unknown[] {
  const sorted = [...sample].sort(([a], [b]) => compareKeys(a, b))
  const step = sorted.reduce((sum, [, weight]) => sum + weight, 0) / partitions
  const bounds: unknown[] = []
  let weightSoFar = 0
  for (const [key, weight] of sorted) {
    weightSoFar += weight
    if (bounds.length >= partitions - 1) break
    if (weightSoFar < step * (bounds.length + 1)) continue
    if (bounds.length === 0 || compareKeys(bounds.at(-1), key) < 0) bounds.push(key)
  }
  return bounds
}

/** True if both send every key to the same partition. */
export function samePartitioner(a: Partitioner | null, b: Partitioner | null): boolean {
  if (a === null || b === null) return false
  if (a === b) return true
  if (a.partitions !== b.partitions) return false
  return (
    (a.type === 'hash' && b.type === 'hash') || (a.type === 'custom' && b.type === 'custom' && a.f.call === b.f.call)
  )
}

/** The function from key to partition that tasks call once per record. */
export function partitionFunction(partitioner: Partitioner): (key: unknown) => number {
  const { partitions } = partitioner
  if (partitions === 1) return () => 0
  switch (partitioner.type) {
    case 'hash':
      return (key) => (hashKey(key) >>> 0) % partitions
    case 'custom':
      return partitioner.f.call as (key: unknown) => number
    case 'range':
      return rangeFunction(partitioner.bounds ?? [], partitioner.ascending, partitions)
  }
}

function rangeFunction(bounds: readonly unknown[], ascending: boolean, partitions: number): (key: unknown) => number {
  return (key) => {
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKeys(key, bounds[middle]) <= 0) high = middle
      else low = middle + 1
    }
    return ascending ? low : partitions - 1 - low
  }
}
