/** Which partition a key belongs to. Partitioners are plain data, compared by value, and give the same answer in every process. */
import { compareKeys, hashKey } from './keys.js'
import type { Lineage } from './lineage.js'
import type { TaskFunction } from './task-function.js'

export type Partitioner = HashPartitioner | RangePartitioner | CustomPartitioner

/** Spreads keys by their hash. Keys equal by value (`[1, 'a']`, `{ x: 1 }`) go to the same partition; null and undefined to partition 0. */
export class HashPartitioner {
  readonly type = 'hash'
  readonly partitions: number

  constructor(partitions: number) {
    this.partitions = partitions
  }
}

/**
 * Keeps keys in order: every key of partition i sorts before every key of partition i + 1. The bounds come from a sample of
 * `sampled`, taken by a job of its own before the shuffle; until then `bounds` is null.
 */
export class RangePartitioner {
  readonly type = 'range'
  readonly partitions: number
  readonly ascending: boolean
  readonly bounds: readonly unknown[] | null
  readonly sampled: Lineage | null

  constructor(options: {
    partitions: number
    ascending: boolean
    bounds: readonly unknown[] | null
    sampled: Lineage | null
  }) {
    this.partitions = options.partitions
    this.ascending = options.ascending
    this.bounds = options.bounds
    this.sampled = options.sampled
  }
}

/** Places keys by a function of the user's that returns a partition from 0 to `partitions` - 1. */
export class CustomPartitioner {
  readonly type = 'custom'
  readonly partitions: number
  readonly f: TaskFunction

  constructor(partitions: number, f: TaskFunction) {
    this.partitions = partitions
    this.f = f
  }
}

/** The keys that cut a sample of keys into `partitions` ranges of about equal weight; fewer when keys repeat. */
export function rangeBounds(sample: readonly unknown[], partitions: number): unknown[] {
  const sorted = [...sample].sort(compareKeys)
  const bounds: unknown[] = []
  for (let i = 1; i < partitions && sorted.length > 0; i++) {
    const bound = sorted[Math.min(Math.floor((i * sorted.length) / partitions), sorted.length - 1)]
    if (bounds.length === 0 || compareKeys(bounds.at(-1), bound) < 0) bounds.push(bound)
  }
  return bounds
}

/** True if both send every key to the same partition. */
export function samePartitioner(a: Partitioner | null, b: Partitioner | null): boolean {
  if (a === null || b === null) return false
  if (a === b) return true
  return a.type === 'hash' && b.type === 'hash' && a.partitions === b.partitions
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
