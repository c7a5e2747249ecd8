/** What a job leaves behind so that another process can go on from it. Each engine keeps it in a way of its own; the batch loop sees this. */
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import { MillraceError, toError } from '../errors.js'
import type { Time } from '../time.js'

/** What became of a batch of an earlier run. */
export type EarlierStatus = 'pending' | 'completed' | 'skipped'

export interface JobCheckpoint {
  /** The zero time of the first run; null on a new directory. */
  readonly zeroTime: Time | null
  /** The batches that are not forgotten, in order. */
  readonly batches: ReadonlyMap<Time, { readonly status: EarlierStatus }>
  /** The last batch that was begun, or null. */
  readonly lastBegun: Time | null
  /** True where the clock ticks for the batches that were begun and not finished, and for the times at which no process ran. */
  readonly clockCatchesUp: boolean
  /** Notes that a run begins. */
  started(zeroTime: Time, nowMs: Time, graph: DStreamGraph): Promise<void>
  /** Gives every operator of the graph that has state its saved state back. Throws `CHECKPOINT_MISMATCH` for state of an operator there is not. */
  restoreState(graph: DStreamGraph): void
  /** Tells the inputs of the graph of the run before this one, if there was one. Throws `UNSUPPORTED` for an input that cannot go on. */
  resumeInputs(graph: DStreamGraph): void
  /** Notes what inputs other than receivers took for the batch of `time`, before anything is done with it. */
  inputsTaken(time: Time, graph: DStreamGraph): Promise<void>
  /** Every output of the batch of `time` is done. */
  completed(time: Time, graph: DStreamGraph): Promise<void>
  /** The batch of `time` was left out because it failed. */
  skipped(time: Time, error: Error): Promise<void>
  /** Saves all state as of `time`, up to which every batch is done, so that a new run has nothing to compute again. */
  finish(time: Time, graph: DStreamGraph): Promise<void>
  /** The earliest time from which input must be kept, so that the state of every operator can be computed again. */
  keepFrom(graph: DStreamGraph, time: Time): Time
  /** From now on nothing waits for storage that cannot be written. Absent where nothing does. */
  stopWaiting?(): void
  /** Waits for state that is being saved. From now on none is. */
  stop(): Promise<void>
  /** Closes the directory, after `stop`. */
  close(): Promise<void>
}

/** Which job opens a checkpoint. */
export interface CheckpointedJob {
  readonly directory: string
  readonly job: string
  readonly batchMs: number
  /** Gets what fails in the background, and what else people should know. */
  readonly onError: (message: string, error: Error) => void
}

/** What says nothing against the content of a checkpoint. */
const outOfReach = ['DIRECTORY_IN_USE', 'CHECKPOINT_UNAVAILABLE', 'LOG_WRITE_FAILED'] as const

/**
 * The checkpoint that `open` gives. With `createOnError`, a directory that cannot be read is renamed, which `onError` hears of, and
 * `open` is called again, told that the directory is new; not so one that another process uses, or that this one may not touch or
 * has no space to write in.
 */
export async function openOrPutAside<T>(
  open: (isNew: boolean) => Promise<T>,
  {
    directory,
    createOnError,
    rename,
    onError,
  }: {
    readonly directory: string
    readonly createOnError: boolean
    readonly rename: (from: string, to: string) => Promise<void>
    readonly onError: (message: string, error: Error) => void
  },
): Promise<T> {
  try {
    return await open(false)
  } catch (thrown) {
    const error = toError(thrown)
    if (!createOnError || outOfReach.some((code) => MillraceError.is(error, code))) throw error
    const aside = `${directory}.unreadable-${Date.now()}`
    await rename(directory, aside)
    onError(`The checkpoint cannot be read and is now ${aside}; beginning anew`, error)
    return open(true)
  }
}
