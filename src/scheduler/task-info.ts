/** What listeners hear of stages, tasks and executor threads. Names follow Spark's; times are milliseconds since the epoch. */
import type { Time } from '../time.js'

/**
 * How near a task ran to what it reads. `PROCESS_LOCAL`: in the thread that holds the values of a kept partition it reads.
 * `NODE_LOCAL`: in another thread, which reads the bytes of that partition. `NO_PREF`: all it reads lies where every thread
 * reaches it equally well, as received blocks and the output of shuffles do.
 */
export type TaskLocality = 'PROCESS_LOCAL' | 'NODE_LOCAL' | 'NO_PREF'

/** What a task did. */
export interface TaskMetrics {
  /** Time in its thread, in milliseconds. */
  readonly runMs: number
  /** Records it read: of blocks, shuffles, kept partitions and slices of the driver. */
  readonly inputRecords: number
  /** Bytes it read; values that lie in its own thread count none. */
  readonly inputBytes: number
  /** Records it gave: to the driver, or to a shuffle. */
  readonly outputRecords: number
  /** Their bytes; values that stay in its own thread count none. */
  readonly outputBytes: number
}

/** One attempt of one task. */
export interface TaskInfo {
  readonly taskId: number
  readonly stageId: number
  /** The batch it works for, or null for a job outside batches. */
  readonly batchTime: Time | null
  readonly outputId: number | null
  readonly partition: number
  /** How often this partition has failed before in this stage. */
  readonly attempt: number
  /** True for a second copy of a task that seems slow (`spark.speculation`). */
  readonly speculative: boolean
  /** The number of the executor thread; 0 is the driver's own. */
  readonly executor: number
  readonly locality: TaskLocality
  readonly launchTime: Time
  readonly finishTime: Time | null
  /** `KILLED`: another copy of the task was faster, or its job has failed meanwhile. */
  readonly status: 'RUNNING' | 'SUCCESS' | 'FAILED' | 'KILLED'
  readonly failureReason: string | null
  /** Null until the task has succeeded. */
  readonly metrics: TaskMetrics | null
}

/** The tasks between two shuffles. */
export interface StageInfo {
  readonly stageId: number
  /** The user's operation whose job it belongs to, such as `print`. */
  readonly name: string
  readonly batchTime: Time | null
  readonly outputId: number | null
  /** True if its tasks write the map side of a shuffle, false if they give results. */
  readonly isShuffleMap: boolean
  readonly numTasks: number
  readonly submissionTime: Time
  readonly completionTime: Time | null
  readonly failureReason: string | null
}

/** A thread of the engine. */
export interface ExecutorInfo {
  readonly executor: number
  /** What it runs. */
  readonly kind: 'tasks' | 'receivers'
  readonly time: Time
  /** Why it ended; null for one that was added. */
  readonly reason: string | null
}
