/** One map task's side of a shuffle: records combined by key if the shuffle combines, then sorted into a bucket per target partition. */
import type { Combiner, PartitionedLineage } from '../rdd/lineage.js'
import { operatorFailure } from '../rdd/operator-failure.js'
import type { Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import { type Partitioner, partitionFunction } from '../rdd/partitioner.js'
import type { TaskFunction } from '../rdd/task-function.js'
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

/** Pairs that are combined before others get a turn. */
const SLICE = 4096

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
  let left = bound?.entriesMax() ?? Number.POSITIVE_INFINITY
  const buckets = (): Bucket[] => bucketed(table.take(), partitioner)
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
  return { terminal: { type: 'call', f: placementOf(partitioner) }, out, buckets }
}

function bucketed(pairs: Bucket, partitioner: Partitioner): Bucket[] {
  if (partitioner.partitions === 1) return [pairs]
  const partitionOf = partitionFunction(partitioner)
  const buckets: Bucket[] = Array.from({ length: partitioner.partitions }, () => [])
  let i = 0
  try {
    for (; i < pairs.length; i++) buckets[partitionOf(pairs[i]![0])]!.push(pairs[i]!)
  } catch (error) {
    throw operatorFailure(error, placementOf(partitioner), pairs[i])
  }
  return buckets
}

/** The user's function that chooses partitions, if one does. */
function placementOf(partitioner: Partitioner): TaskFunction | null {
  return partitioner.type === 'custom' ? partitioner.f : null
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
    for (let from = 0; from < bucket.length; from += SLICE) {
      addPairs(table, bucket, from, Math.min(from + SLICE, bucket.length), shuffle.combiner!)
      if (pacer.isDue) await pacer.turn()
    }
  }
  return table.take()
}

/** As `readBuckets` for a shuffle that combines, at once. */
export function combinedPairs(shuffle: PartitionedLineage, buckets: Iterable<Bucket>): Bucket {
  const table = reduceTable(shuffle.combiner!)
  for (const bucket of buckets) addPairs(table, bucket, 0, bucket.length, shuffle.combiner!)
  return table.take()
}

/** Adds bucket[from,to). What a function of the user's throws names its operator and shows the pair. */
function addPairs(table: CombineTable, bucket: Bucket, from: number, to: number, combiner: Combiner): void {
  let i = from
  try {
    for (; i < to; i++) table.add(bucket[i]![0], bucket[i]![1])
  } catch (error) {
    throw operatorFailure(error, combiner.mapSide ? combiner.mergeCombiners : combiner.mergeValue, bucket[i])
  }
}

function reduceTable(combiner: Combiner): CombineTable {
  return combiner.mapSide
    ? new CombineTable((value) => value, combiner.mergeCombiners.call)
    : new CombineTable(combiner.create.call, combiner.mergeValue.call)
}
