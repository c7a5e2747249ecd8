/** What an RDD asks of an engine: to compute partitions. Every action is composed over `collect`. */
import type { Time } from '../time.js'
import type { CallSite } from './call-site.js'
import type { Lineage, PartitionedLineage } from './lineage.js'
import type { RecordArrays } from './record-arrays.js'

/** What a job is for, as listeners, errors and Spark's page name it. */
export interface JobDescription {
  readonly batchTime: Time | null
  readonly outputId: number | null
  /** The user's operation, such as `print`. */
  readonly name: string
  /** Where the user wrote it. Left out where no line of theirs is known. */
  readonly callSite?: CallSite
  /** Aborted when the job was cancelled: tasks that have not begun need not begin. Left out where nobody can cancel. */
  readonly signal?: AbortSignal
}

/** Computes partitions, on this thread, on several, or on a cluster. */
export interface JobRunner {
  readonly defaultParallelism: number
  /** True if partitions that are lost with an executor are computed again from their history, which therefore must not be cut unsaved. */
  readonly needsHistory?: boolean
  /** The records of the partitions asked for (all when null), in their order. Rejects with `TASK_FAILED` when a task fails for good. */
  collect(lineage: Lineage, partitions: readonly number[] | null, job: JobDescription): Promise<RecordArrays[]>
  /** Keeps the partitions in the executors (`directory` null) or writes them there; resolves to the same records without history. */
  checkpoint(lineage: Lineage, directory: string | null, job: JobDescription): Promise<Lineage>
  /** Drops the cached partitions of this RDD. */
  unpersist(rddId: number): void
  /** Drops what this shuffle wrote; it is written again if it is asked for after all. Absent where the cluster sees to it. */
  forgetShuffle?(shuffle: PartitionedLineage): void
}

/** A running application on a cluster. */
export interface Application {
  readonly id: string
  /** Where the cluster shows the application's jobs, or null when it does not. */
  readonly uiUrl: string | null
}
