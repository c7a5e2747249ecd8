/** The reduce side of a shuffle: in memory while its partition is small, a part at a time when it is not. */
import type { PartitionedLineage } from '../../rdd/lineage.js'
import { Pacer } from '../../rdd/pacer.js'
import { recordsOf } from '../../storage/record-frames.js'
import { readStored, type StoredBytes } from '../../storage/stored-bytes.js'
import { type Bucket, readBuckets } from '../shuffle-writer.js'
import type { Chunks } from '../task-runner.js'
import { externalCombine, framesIn } from './external-combine.js'

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

/** The records of one partition of a shuffle, combined if it combines. */
export async function readShuffleInput(input: ShuffleInput): Promise<Chunks> {
  const { shuffle, buckets } = input
  let bytes = 0
  for (const bucket of buckets) if (!Array.isArray(bucket)) bytes += bucket.length
  if (bytes > inMemoryMaxBytes) {
    return shuffle.combiner === null ? inOrder(buckets) : externalCombine({ ...input, bytes })
  }
  const read: Bucket[] = []
  for (const bucket of buckets) {
    read.push(Array.isArray(bucket) ? bucket : (recordsOf(await readStored(bucket)) as Bucket))
  }
  return readBuckets(shuffle, read, new Pacer())
}

function* inOrder(buckets: readonly (Bucket | StoredBytes)[]): Generator<readonly unknown[]> {
  for (const bucket of buckets) {
    if (Array.isArray(bucket)) yield bucket
    else yield* framesIn(bucket)
  }
}
