/** What the driver and its executor threads say to each other: plain data, one union a direction. */
import type { ErrorData } from '../../errors.js'
import type { TaskMetrics } from '../../scheduler/task-info.js'
import type { BlockContent, KeepLevel } from '../../storage/block-manager.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'
import type { GraphSource } from '../recording-engine.js'
import type { StageData } from './stage-data.js'

/** What a thread is started with. */
export interface ThreadStart {
  readonly id: number
  readonly source: GraphSource
  readonly parallelism: number
  /** The settings in force in the driver. */
  readonly conf: Readonly<Record<string, string>>
  /** The heap of the thread, in bytes, or null for what Node gives. */
  readonly heapBytes: number | null
  /** What kept partitions may take, as bytes, whose values the thread holds. */
  readonly heldMaxBytes: number
  /** Where this run of the program may write what memory cannot hold. */
  readonly spillDirectory: string
}

/** Something a task reads, by the node and partition it stands for (see `inputKey`). */
export type TaskInput =
  /** Frames of records, in parts: a slice of the driver's, a kept partition. */
  | { readonly type: 'records'; readonly parts: readonly StoredBytes[]; readonly isKept: boolean }
  | { readonly type: 'blocks'; readonly streamId: number; readonly blocks: readonly BlockInput[] }
  /** Frames of records from every map task that had some for this partition. */
  | { readonly type: 'shuffle'; readonly buckets: readonly StoredBytes[] }

/** A received block: frames of records, or bytes that the stream's receiver reads; or the place in a log where it is. */
export type BlockInput = Extract<BlockContent, { type: 'stored' | 'logged' }>

/** The key of a task's input: `kept` for a partition of an RDD that is persisted, else the leaf itself. */
export function inputKey(node: number, partition: number, kept: boolean): string {
  return kept ? `kept ${node}/${partition}` : `${node}/${partition}`
}

export interface TaskData {
  readonly id: number
  readonly stageId: number
  readonly partition: number
  /** Output for a shuffle that it may leave in memory; more goes to a file. */
  readonly memoryBytes: number
  readonly inputs: ReadonlyMap<string, TaskInput>
}

/** From the driver to a thread: tasks of one stage, to be run one after another. */
export interface ToThread {
  /** With the first tasks of it that go to this thread, else null. */
  readonly stage: StageData | null
  readonly tasks: readonly TaskData[]
  /** What has become of no use since the last message. */
  readonly useless: {
    readonly stages: readonly number[]
    /** RDDs whose partitions are not kept any more. */
    readonly rdds: readonly number[]
    /** Shared memory of this thread that nobody reads any more. */
    readonly memory: readonly SharedArrayBuffer[]
  }
}

/** A partition a task kept, as its storage level says. */
export interface KeptPartition {
  readonly rddId: number
  readonly partition: number
  readonly stored: StoredBytes
  readonly level: KeepLevel
  /** When it holds only what changed: the input of the task, by key, on whose first so many parts it lies; else null. */
  readonly beneath: { readonly key: string; readonly parts: number } | null
  /** True if the thread holds the values as well, so that tasks that read them run best there. */
  readonly isHeld: boolean
}

export type TaskOutput =
  /** Frames of records. */
  | { readonly type: 'result'; readonly bytes: Uint8Array }
  /** One run of frames per target partition, from `offsets[p]` to `offsets[p + 1]`; several when memory ran short on the way. */
  | { readonly type: 'shuffle'; readonly parts: readonly ShufflePart[] }

export interface ShufflePart {
  readonly stored: StoredBytes
  readonly offsets: readonly number[]
}

/** From a thread to the driver. */
export type FromThread =
  | { readonly type: 'ready'; readonly shape: readonly string[] }
  | { readonly type: 'loadFailed'; readonly error: ErrorData }
  /** Tasks that have ended, in order; `isFree` once there are no more. */
  | { readonly type: 'ended'; readonly outcomes: readonly TaskOutcome[]; readonly isFree: boolean }

export type TaskOutcome = TaskDone | TaskFailed

export interface TaskDone {
  readonly type: 'done'
  readonly taskId: number
  readonly output: TaskOutput
  readonly kept: readonly KeptPartition[]
  readonly metrics: TaskMetrics
  /** What it added to accumulators, as serialized records, or null. */
  readonly accumulated: Uint8Array | null
}

export interface TaskFailed {
  readonly type: 'failed'
  readonly taskId: number
  readonly error: ErrorData
}
