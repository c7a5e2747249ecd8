/**
 * How an RDD comes about, as plain data that can cross a thread or a process. There are six kinds, and every operation is
 * written over them:
 *
 *   blocks         received blocks of one stream in one batch
 *   parallelized   records the driver holds
 *   mapped         partitions of its parents through one narrow operation (several parents: side by side)
 *   partitioned    records moved to the partition their key belongs to: a shuffle, the border between two stages
 *   united         partitions of its parents put one after the other: union, coalesce, pruning
 *   checkpointed   partitions read back from storage, their history cut off
 */
import type { Partitioner } from './partitioner.js'
import type { StorageLevel } from './storage-level.js'
import type { TaskFunction } from './task-function.js'

export type Lineage =
  | BlocksLineage
  | ParallelizedLineage
  | MappedLineage
  | PartitionedLineage
  | UnitedLineage
  | CheckpointedLineage

/** A node before its context has numbered it. */
export type NewLineage = WithoutNumber<Lineage>
type WithoutNumber<L> = L extends Lineage ? Omit<L, 'id' | 'storageLevel'> : never

interface Node {
  /** Unique in its context; names the cached partitions. */
  readonly id: number
  /** How many partitions it has. */
  readonly partitions: number
  /** Where the records are known to lie by key, or null. Two RDDs with equal partitioners join without a shuffle. */
  readonly partitioner: Partitioner | null
  /** Set by `persist`: the first task that computes a partition keeps it. */
  storageLevel: StorageLevel | null
}

/** One block as the tracker knows it: records one receiver stored together. */
export interface BlockInfo {
  /** `input-<stream id>-<number>`, unique for the life of a checkpoint directory. */
  readonly id: string
  readonly streamId: number
  readonly records: number
  readonly bytes: number
  /** The block interval it was stored in, counted from the epoch; neighbours of one interval become one partition. */
  readonly slot: number
  /** The executors that hold a copy; the first stored it. */
  readonly locations: readonly number[]
}

export interface BlocksLineage extends Node {
  readonly type: 'blocks'
  readonly streamId: number
  /** The blocks each partition reads, in order of arrival. */
  readonly blocks: readonly (readonly BlockInfo[])[]
}

export interface ParallelizedLineage extends Node {
  readonly type: 'parallelized'
  readonly slices: readonly (readonly unknown[])[]
}

export interface MappedLineage extends Node {
  readonly type: 'mapped'
  readonly parents: readonly Lineage[]
  readonly operation: NarrowOperation
}

export interface PartitionedLineage extends Node {
  readonly type: 'partitioned'
  readonly parent: Lineage
  readonly partitioner: Partitioner
  /** How values of one key become one; null moves the pairs as they are. */
  readonly combiner: Combiner | null
}

export interface UnitedLineage extends Node {
  readonly type: 'united'
  readonly parents: readonly Lineage[]
  /** For each partition, the parents' partitions it is made of, in order. */
  readonly groups: readonly (readonly PartitionRef[])[]
}

export interface CheckpointedLineage extends Node {
  readonly type: 'checkpointed'
  /** Where the partitions are: a directory of files, or null when they are kept in the executors' block managers. */
  readonly directory: string | null
  /** The RDD whose partitions they were. */
  readonly rddId: number
}

export interface PartitionRef {
  /** Index into `parents`. */
  readonly parent: number
  readonly partition: number
}

/** What a task does to the records of a partition. All but `iterate` and `zip` take one record at a time and are fused into one loop. */
export type NarrowOperation =
  | { readonly type: 'map'; readonly f: TaskFunction }
  | { readonly type: 'filter'; readonly f: TaskFunction }
  /** `f` returns an iterable; arrays are the fast path. */
  | { readonly type: 'flatMap'; readonly f: TaskFunction }
  | { readonly type: 'mapValues'; readonly f: TaskFunction }
  | { readonly type: 'flatMapValues'; readonly f: TaskFunction }
  /** One record per partition: `finish(add(… add(zero(), first) …, last))`. */
  | {
      readonly type: 'fold'
      readonly zero: TaskFunction
      readonly add: TaskFunction
      readonly finish: TaskFunction | null
    }
  /** `f(records, partition)` gets a pulled iterator and returns an iterable, or a promise of one. */
  | { readonly type: 'iterate'; readonly f: TaskFunction }
  /** `f(iterators, partition)` gets the same partition of every parent and returns an iterable, or a promise of one. */
  | { readonly type: 'zip'; readonly f: TaskFunction }

/** Spark's Aggregator: `create` from the first value of a key, then `mergeValue`, then `mergeCombiners` across map tasks. */
export interface Combiner {
  readonly create: TaskFunction
  readonly mergeValue: TaskFunction
  readonly mergeCombiners: TaskFunction
  /** Combine before the shuffle as well as after it. */
  readonly mapSide: boolean
}

/** The parents of a node, whatever its kind. */
export function parentsOf(lineage: Lineage): readonly Lineage[] {
  switch (lineage.type) {
    case 'mapped':
    case 'united':
      return lineage.parents
    case 'partitioned':
      return [lineage.parent]
    default:
      return []
  }
}

/** A node and everything it is made of: those that `belong`, and what is reached over them. */
export function ancestorsOf(lineage: Lineage, belongs: (node: Lineage) => boolean = () => true): Set<Lineage> {
  const found = new Set([lineage].filter(belongs))
  for (const node of found) for (const parent of parentsOf(node)) if (belongs(parent)) found.add(parent)
  return found
}
