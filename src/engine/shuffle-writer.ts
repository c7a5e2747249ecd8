/** One map task's side of a shuffle: records combined by key if the shuffle combines, then sorted into a bucket per target partition. */

import { canonicalKey } from '../rdd/keys.js'
import type { PartitionedLineage } from '../rdd/lineage.js'
import type { Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import { partitionFunction } from '../rdd/partitioner.js'

/** Pairs bound for one partition: `[key, value]`, or `[key, combined]` after a map-side combine. */
export type Bucket = Pair<unknown, unknown>[]

type Create = (value: unknown) => unknown
type Merge = (combined: unknown, value: unknown) => unknown

/** Collects the records of one map task: `emit` for each, then `buckets` once. */
export interface ShuffleWriter {
  readonly emit: (record: unknown) => void
  buckets(): Bucket[]
}

/** The writer for a map task of this shuffle. */
export function shuffleWriter(shuffle: PartitionedLineage): ShuffleWriter {
  const { combiner, partitioner } = shuffle
  const partitionOf = partitionFunction(partitioner)
  if (combiner?.mapSide) {
    const table = new CombineTable(combiner.create.call, combiner.mergeValue.call)
    return { emit: table.add, buckets: () => bucketed(table.pairs(), partitioner.partitions, partitionOf) }
  }
  const buckets: Bucket[] = Array.from({ length: partitioner.partitions }, () => [])
  const emit = (record: unknown): void => {
    buckets[partitionOf((record as Pair<unknown, unknown>)[0])]!.push(record as Pair<unknown, unknown>)
  }
  return { emit, buckets: () => buckets }
}

function bucketed(pairs: Bucket, partitions: number, partitionOf: (key: unknown) => number): Bucket[] {
  if (partitions === 1) return [pairs]
  const buckets: Bucket[] = Array.from({ length: partitions }, () => [])
  for (const pair of pairs) buckets[partitionOf(pair[0])]!.push(pair)
  return buckets
}

/** The reduce side: buckets of all map tasks, in map order, made one partition. */
export async function readBuckets(
  shuffle: PartitionedLineage,
  buckets: readonly Bucket[],
  pacer: Pacer,
): Promise<Bucket[]> {
  const { combiner } = shuffle
  // One map task that combined has nothing left to merge with.
  if (combiner === null || (combiner.mapSide && buckets.length === 1)) return [...buckets]
  const table = combiner.mapSide
    ? new CombineTable((value) => value, combiner.mergeCombiners.call)
    : new CombineTable(combiner.create.call, combiner.mergeValue.call)
  for (const bucket of buckets) {
    for (let i = 0; i < bucket.length; ) {
      const end = Math.min(i + 4096, bucket.length)
      for (; i < end; i++) table.add(bucket[i])
      if (pacer.isDue) await pacer.turn()
    }
  }
  return [table.pairs()]
}

interface Entry {
  readonly key: unknown
  value: unknown
}

/** One value per key. A new key costs an entry, a known one a single lookup. */
class CombineTable {
  readonly #primitive = new Map<unknown, Entry>()
  readonly #composite = new Map<string, Entry>()
  /** Takes one pair. A closure and not a method, because loops call it bare. */
  readonly add: (record: unknown) => void

  constructor(create: Create, merge: Merge) {
    const primitive = this.#primitive
    const composite = this.#composite
    this.add = (record) => {
      const key = (record as Pair<unknown, unknown>)[0]
      const value = (record as Pair<unknown, unknown>)[1]
      if (typeof key !== 'object' || key === null) {
        const entry = primitive.get(key)
        if (entry === undefined) primitive.set(key, { key, value: create(value) })
        else entry.value = merge(entry.value, value)
      } else {
        const canonical = canonicalKey(key)
        const entry = composite.get(canonical)
        if (entry === undefined) composite.set(canonical, { key, value: create(value) })
        else entry.value = merge(entry.value, value)
      }
    }
  }

  pairs(): Bucket {
    const pairs: Bucket = []
    for (const { key, value } of this.#primitive.values()) pairs.push([key, value])
    for (const { key, value } of this.#composite.values()) pairs.push([key, value])
    return pairs
  }
}
