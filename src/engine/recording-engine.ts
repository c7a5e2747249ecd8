/** An engine that runs nothing: where a worker builds the graph of a job only to find its functions and receivers. */
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import { MillraceError } from '../errors.js'
import type { JobRunner } from '../rdd/job-runner.js'
import type { FileSplit, OutsideAccess } from '../rdd/outside-access.js'
import type { AnyFunction } from '../rdd/task-function.js'
import type { Receiver } from '../receiver/receiver.js'
import { localAccess } from '../storage/local-access.js'
import type { BatchClock, Engine, ReceiverHost } from './engine.js'

/** A graph built in a worker. */
export interface LoadedGraph {
  readonly graph: DStreamGraph
  /** What `describeGraph` gave. */
  readonly described: readonly AnyFunction[]
  /** The worker's own receivers, by stream. */
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
}

/** What a worker knows of the driver when it builds the graph. */
export interface LoadOptions {
  readonly parallelism: number
  /** The settings in force in the driver. */
  readonly conf: Readonly<Record<string, string>>
}

/** Where another thread or process finds the graph: a module that exports `loadGraph`, and what to call it with. */
export interface GraphSource {
  /** The address of the module. */
  readonly module: string
  /** Plain data. */
  readonly args: unknown
  /**
   * The address of the user's module, where the graph comes from one: a bundle then imports it, and calls `graphOf` of `module`
   * with what it exports by default.
   */
  readonly job?: string
}

/** What the module named by a `GraphSource` exports as `loadGraph`. */
export type LoadGraph = (args: unknown, options: LoadOptions) => Promise<LoadedGraph>

/** Files as a worker needs them to describe a graph: those that are not on its machine are for the driver to miss. */
export const recordedAccess: OutsideAccess = {
  ...localAccess,
  files: (path) => orPlaceholders(1, path, () => localAccess.files(path)),
  splits: (path, minParts) => orPlaceholders(minParts, path, () => localAccess.splits(path, minParts)),
}

function orPlaceholders(count: number, path: string, list: () => FileSplit[]): FileSplit[] {
  try {
    return list()
  } catch (error) {
    if (!MillraceError.is(error, 'FILE_NOT_FOUND')) throw error
    return Array.from({ length: count }, () => ({ path, start: 0, end: 0 }))
  }
}

export class RecordingEngine implements Engine {
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly runner: JobRunner
  /** Resolves when an action is asked for: whatever waits for its result goes no further here. */
  readonly acted: Promise<void>

  constructor(parallelism: number) {
    const refused = (): never => {
      throw new MillraceError(
        'JOB_MODULE_INVALID',
        'The function that describes a job started its context: it may only describe, and run actions on RDDs if it has no streams.',
      )
    }
    let act = (): void => {}
    this.acted = new Promise((resolve) => {
      act = resolve
    })
    // The driver has the results; here the same code only gives its functions.
    const never = (): Promise<never> => {
      act()
      return new Promise(() => {})
    }
    this.runner = { defaultParallelism: parallelism, collect: never, checkpoint: never, unpersist: () => {} }
    this.clock = { now: () => Date.now(), start: refused, settled: async () => {}, stop: async () => null }
    this.receivers = {
      start: refused,
      allocate: refused,
      hasUnallocatedBlocks: false,
      setRate: () => {},
      release: async () => {},
      stop: async () => {},
    }
  }

  async close(): Promise<void> {}
}
