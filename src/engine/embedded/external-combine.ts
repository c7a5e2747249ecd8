/**
 * The reduce side of a shuffle whose partition does not fit into memory: its pairs are first spread by their keys over parts that
 * do, in a file, and then combined part by part, while the task already works on what comes out.
 */
import { hashKey } from '../../rdd/keys.js'
import type { PartitionedLineage } from '../../rdd/lineage.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import { removeStored, type StoredBytes, sliceStored } from '../../storage/stored-bytes.js'
import { framesIn } from '../../storage/stored-frames.js'
import { type Bucket, combinedPairs } from '../shuffle-writer.js'
import { ShuffleOutput } from './shuffle-output.js'

/** Serialized pairs that are combined in memory at once. */
const partBytes = 32 << 20
/** Written to the file at once. */
const writeBytes = 32 << 20

export interface ExternalCombineOptions {
  readonly shuffle: PartitionedLineage
  /** Frames of pairs from the map tasks, in their order. */
  readonly buckets: readonly (StoredBytes | Bucket)[]
  /** How long they are together, in bytes. */
  readonly bytes: number
  readonly spillDirectory: string
  /** Unique among the files there. */
  readonly name: string
}

/** Pairs combined by key, some thousand at a time. */
export function* externalCombine(options: ExternalCombineOptions): Generator<Bucket> {
  const { shuffle, buckets, bytes, spillDirectory, name } = options
  const parts = Math.ceil(bytes / partBytes)
  const out = new ShuffleOutput({
    pool: new SharedPool(),
    spillDirectory,
    name,
    spillBytes: writeBytes,
    combines: false,
  })
  const empty = (): Bucket[] => Array.from({ length: parts }, () => [])
  let spread = empty()
  let left = out.entriesMax()
  for (const bucket of buckets) {
    const frames = Array.isArray(bucket) ? [bucket] : (framesIn(bucket) as Iterable<Bucket>)
    for (const pairs of frames) {
      for (const pair of pairs) spread[partOf(pair[0], parts)]!.push(pair)
      left -= pairs.length
      if (left > 0) continue
      out.flush(spread)
      spread = empty()
      left = out.entriesMax()
    }
  }
  out.flush(spread)
  const written = out.finish()
  try {
    for (let part = 0; part < parts; part++) {
      const runs = written.map(({ stored, offsets }) => sliceStored(stored, offsets[part]!, offsets[part + 1]!))
      yield combinedPairs(shuffle, framesOfRuns(runs))
    }
  } finally {
    for (const { stored } of written) removeStored(stored)
  }
}

/** Independent of the hash that chose the partition: all keys here agree in that. */
function partOf(key: unknown, parts: number): number {
  return (Math.imul(hashKey(key), 0x9e37_79b1) >>> 12) % parts
}

function* framesOfRuns(runs: readonly StoredBytes[]): Generator<Bucket> {
  for (const run of runs) if (run.length > 0) yield* framesIn(run) as Iterable<Bucket>
}
