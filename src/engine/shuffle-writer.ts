/** One map task's side of a shuffle: records combined by key if the shuffle combines, then sorted into a bucket per target partition. */
import type { Combiner, PartitionedLineage } from '../rdd/lineage.js'
import type { Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import { partitionFunction } from '../rdd/partitioner.js'
import { CombineTable } from './combine-table.js'
import type { Terminal } from './fused-loop.js'

/** Pairs bound for one partition: `[key, value]`, or `[key, combined]` after a map-side combine. */
export type Bucket = Pair<unknown, unknown>[]

/** Collects the records of one map task: they leave a loop by `terminal` into `out`; then `buckets` for what has come since the last call. */
export interface ShuffleWriter {
  readonly terminal: Terminal
  readonly out: unknown
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
  const { combiner } = shuffle
  return combiner?.mapSide ? combiningWriter(shuffle, combiner, bound) : plainWriter(shuffle, bound)
}

function combiningWriter(
  { partitioner }: PartitionedLineage,
  { create, mergeValue }: Combiner,
  bound: WriterBound | null,
): ShuffleWriter {
  const partitionOf = partitionFunction(partitioner)
  let left = bound?.entriesMax() ?? Number.POSITIVE_INFINITY
  const buckets = (): Bucket[] => bucketed(table.take(), partitioner.partitions, partitionOf)
  const table = new CombineTable(create.call, mergeValue.call, (keys) => {
    if (keys < left) return
    bound!.flush(buckets())
    left = bound!.entriesMax()
  })
  return { terminal: { type: 'combine', create, merge: mergeValue }, out: table, buckets }
}

function plainWriter({ partitioner }: PartitionedLineage, bound: WriterBound | null): ShuffleWriter {
  const partitionOf = partitionFunction(partitioner)
  let left = bound?.entriesMax() ?? Number.POSITIVE_INFINITY
  const empty = (): Bucket[] => Array.from({ length: partitioner.partitions }, () => [])
  let collected = empty()
  const buckets = (): Bucket[] => {
    const taken = collected
    collected = empty()
    return taken
  }
  const out = (record: Pair<unknown, unknown>): void => {
    collected[partitionOf(record[0])]!.push(record)
    if (--left === 0) {
      bound!.flush(buckets())
      left = bound!.entriesMax()
    }
  }
  return { terminal: { type: 'call' }, out, buckets }
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
      for (; i < end; i++) table.add(bucket[i]![0], bucket[i]![1])
      if (pacer.isDue) await pacer.turn()
    }
  }
  return table.take()
}

/** As `readBuckets` for a shuffle that combines, at once. */
export function combinedPairs(shuffle: PartitionedLineage, buckets: Iterable<Bucket>): Bucket {
  const table = reduceTable(shuffle.combiner!)
  for (const bucket of buckets) for (const [key, value] of bucket) table.add(key, value)
  return table.take()
}

function reduceTable(combiner: Combiner): CombineTable {
  return combiner.mapSide
    ? new CombineTable((value) => value, combiner.mergeCombiners.call)
    : new CombineTable(combiner.create.call, combiner.mergeValue.call)
}
