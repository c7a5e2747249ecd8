/** The reduce side of a shuffle: in memory while its partition is small, a part at a time when it is not. */
import type { PartitionedLineage } from '../../rdd/lineage.js'
import { Pacer } from '../../rdd/pacer.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'
import { framesIn } from '../../storage/stored-frames.js'
import { type Bucket, combineBuckets } from '../shuffle-writer.js'
import type { Chunks } from '../task-runner.js'
import { externalCombine } from './external-combine.js'

/** Serialized input beyond this is not combined in memory at once. */
const inMemoryMaxBytes = 64 << 20

export interface ShuffleInput {
  readonly shuffle: PartitionedLineage
  /** What every map task wrote for this partition, in their order. */
  readonly buckets: readonly (Bucket | StoredBytes)[]
  readonly spillDirectory: string
  /** Unique among the files there. */
  readonly name: string
}

/**
 * The records of one partition of a shuffle, combined if it combines. What need not be combined is read as it is asked for: a
 * frame at a time is in memory as records.
 */
export async function readShuffleInput(input: ShuffleInput): Promise<Chunks> {
  const { shuffle, buckets } = input
  const { combiner } = shuffle
  // One map task that combined has nothing left to merge with.
  if (combiner === null || (combiner.mapSide && buckets.length === 1)) return inOrder(buckets)
  let bytes = 0
  for (const bucket of buckets) if (!Array.isArray(bucket)) bytes += bucket.length
  if (bytes > inMemoryMaxBytes) return externalCombine({ ...input, bytes })
  return [await combineBuckets(shuffle, inOrder(buckets), new Pacer())]
}

function* inOrder(buckets: readonly (Bucket | StoredBytes)[]): Generator<Bucket> {
  for (const bucket of buckets) {
    if (Array.isArray(bucket)) yield bucket
    else yield* framesIn(bucket) as Iterable<Bucket>
  }
}
