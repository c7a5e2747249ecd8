/** One map task's side of a shuffle: records combined by key if the shuffle combines, then sorted into a bucket per target partition. */

import { canonicalKey } from '../rdd/keys.js'
import type { Combiner, PartitionedLineage } from '../rdd/lineage.js'
import type { Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import { partitionFunction } from '../rdd/partitioner.js'

/** Pairs bound for one partition: `[key, value]`, or `[key, combined]` after a map-side combine. */
export type Bucket = Pair<unknown, unknown>[]

type Create = (value: unknown) => unknown
type Merge = (combined: unknown, value: unknown) => unknown

/** Collects the records of one map task: `emit` for each, then `buckets` for what has been collected since the last call. */
export interface ShuffleWriter {
  readonly emit: (record: unknown) => void
  buckets(): Bucket[]
}

/** How much a writer may hold before it must let go of it. */
export interface WriterBound {
  /** Pairs, or keys when the shuffle combines. */
  readonly entriesMax: () => number
  /** Takes what was collected; the writer starts anew. */
  readonly flush: (buckets: Bucket[]) => void
}

/** The writer for a map task of this shuffle; without a bound it holds everything until the end. */
export function shuffleWriter(shuffle: PartitionedLineage, bound: WriterBound | null = null): ShuffleWriter {
  const { combiner, partitioner } = shuffle
  const { partitions } = partitioner
  const partitionOf = partitionFunction(partitioner)
  let left = bound?.entriesMax() ?? Number.POSITIVE_INFINITY
  let buckets: Bucket[]
  let emit: (record: unknown) => void
  if (combiner?.mapSide) {
    let table = new CombineTable(combiner.create.call, combiner.mergeValue.call)
    const take = (): Bucket[] => {
      const pairs = table.pairs()
      table = new CombineTable(combiner.create.call, combiner.mergeValue.call)
      return bucketed(pairs, partitions, partitionOf)
    }
    if (bound === null) return { emit: table.add, buckets: take }
    emit = (record) => {
      table.add(record)
      if (table.size >= left) {
        bound.flush(take())
        left = bound.entriesMax()
      }
    }
    return { emit, buckets: take }
  }
  const empty = (): Bucket[] => Array.from({ length: partitions }, () => [])
  const take = (): Bucket[] => {
    const taken = buckets
    buckets = empty()
    return taken
  }
  buckets = empty()
  emit = (record) => {
    buckets[partitionOf((record as Pair<unknown, unknown>)[0])]!.push(record as Pair<unknown, unknown>)
    if (--left === 0) {
      bound!.flush(take())
      left = bound!.entriesMax()
    }
  }
  return { emit, buckets: take }
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
  return [await combineBuckets(shuffle, buckets, pacer)]
}

/** Pairs combined by key, in slices; the shuffle must combine. */
export async function combineBuckets(
  shuffle: PartitionedLineage,
  buckets: Iterable<Bucket>,
  pacer: Pacer,
): Promise<Bucket> {
  const table = reduceTable(shuffle.combiner!)
  for (const bucket of buckets) {
    for (let i = 0; i < bucket.length; ) {
      const end = Math.min(i + 4096, bucket.length)
      for (; i < end; i++) table.add(bucket[i])
      if (pacer.isDue) await pacer.turn()
    }
  }
  return table.pairs()
}

/** As `readBuckets` for a shuffle that combines, at once. */
export function combinedPairs(shuffle: PartitionedLineage, buckets: Iterable<Bucket>): Bucket {
  const table = reduceTable(shuffle.combiner!)
  for (const bucket of buckets) for (let i = 0; i < bucket.length; i++) table.add(bucket[i])
  return table.pairs()
}

function reduceTable(combiner: Combiner): CombineTable {
  return combiner.mapSide
    ? new CombineTable((value) => value, combiner.mergeCombiners.call)
    : new CombineTable(combiner.create.call, combiner.mergeValue.call)
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

  /** How many keys there are. */
  get size(): number {
    return this.#primitive.size + this.#composite.size
  }

  pairs(): Bucket {
    const pairs: Bucket = []
    for (const { key, value } of this.#primitive.values()) pairs.push([key, value])
    for (const { key, value } of this.#composite.values()) pairs.push([key, value])
    return pairs
  }
}
