/** What an engine offers: parts, nothing more. The DStream algebra and the batch loop are written once, over these. */
import type { Application, JobRunner } from '../rdd/job-runner.js'
import type { BlockInfo } from '../rdd/lineage.js'
import type { Receiver } from '../receiver/receiver.js'
import type { Journal } from '../storage/journal.js'
import type { LoggedBatch } from '../storage/journal-state.js'
import type { LoggedBlock } from '../storage/logged-block.js'
import type { Time } from '../time.js'
import type { CheckpointedJob, JobCheckpoint } from './job-checkpoint.js'

export interface Engine {
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly runner: JobRunner
  /** The application as a cluster knows it; null until it is there. Absent where there is no cluster. */
  readonly application?: Application | null
  /**
   * Takes up the blocks and allocations a journal holds, and from now on stores nothing and allocates nothing without it. Called
   * before the receivers start. Absent on an engine that keeps received data safe by itself.
   */
  useJournal?(journal: Journal): void
  /**
   * Opens the checkpoint of a job on an engine that keeps received data safe by itself, before the receivers start. With
   * `createOnError`, one that cannot be read is put aside. Throws `CHECKPOINT_MISMATCH`, `CHECKPOINT_VERSION` and `CHECKPOINT_INVALID`.
   */
  openCheckpoint?(job: CheckpointedJob, createOnError: boolean): Promise<JobCheckpoint>
  /** Takes up the blocks and allocations a log holds, only to read them. Absent where received data is kept elsewhere. */
  takeUp?(logged: LoggedInput): void
  /** The batch of `time` is over: all its jobs are done, or one failed. Called once for every tick. */
  batchFinished?(time: Time, error: Error | null): void
  /** Ends every thread, process and connection of the engine. */
  close(): Promise<void>
}

/** Received blocks in a log. */
export interface LoggedInput {
  /** The directory of the log. */
  readonly directory: string
  readonly batches: ReadonlyMap<Time, LoggedBatch>
  /** Blocks no batch has taken. */
  readonly waiting: Iterable<LoggedBlock>
}

/** Says when a batch begins. On the embedded engine a timer, on Spark the JVM's own batch clock. */
export interface BatchClock {
  now(): Time
  /**
   * Calls `tick(time)` for every multiple of `intervalMs` from `firstTime` on, in order, never two at once, making up for
   * times it is late for. The promise of `tick` tells the engine that the batch has been generated.
   */
  start(firstTime: Time, intervalMs: number, tick: (time: Time) => Promise<void>): void
  /** Resolves when every tick so far has settled. */
  settled(): Promise<void>
  /** Stops ticking; resolves to the last time that was ticked (or null), once that tick has settled. */
  stop(): Promise<Time | null>
}

/** Runs the receivers and knows the blocks they stored. */
export interface ReceiverHost {
  /** Starts each receiver, by stream id. Errors of a receiver go to the listeners, not to the caller. */
  start(receivers: ReadonlyMap<number, Receiver<unknown>>): Promise<void>
  /** Gives every block that waits to batch `time`, by stream, grouped into partitions. A time not after the last one gets what it got before. */
  allocate(time: Time): Promise<ReadonlyMap<number, BlockGroups>>
  /** Blocks received and not yet given to a batch. */
  readonly hasUnallocatedBlocks: boolean
  /** The records per second a receiver may take, from the rate estimator. */
  setRate(streamId: number, ratePerSecond: number): void
  /** The batch of `time` is done: what a log holds of it need not stay in memory. */
  processed?(time: Time): void
  /** Forgets the blocks of every batch before `time`. */
  release(time: Time): Promise<void>
  /** Stops the receivers; resolves when their last blocks are stored and known here. Not `gracefully`, nobody will ask for these. */
  stop(gracefully: boolean): Promise<void>
}

/** The blocks of one stream in one batch: one array a partition. */
export type BlockGroups = readonly (readonly BlockInfo[])[]

/** What an engine tells of its receivers. */
export interface ReceiverListener {
  receiverStarted(receiver: ReceiverState): void
  receiverError(failure: ReceiverState & { readonly message: string; readonly error: Error }): void
  receiverStopped(end: ReceiverState & { readonly message: string; readonly error: Error | null }): void
}

export interface ReceiverState {
  readonly streamId: number
  /** The class of the receiver. */
  readonly name: string
}
