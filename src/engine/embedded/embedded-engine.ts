/**
 * The engine inside Node. Master `local` runs everything in the caller's thread: nothing is copied, nothing is serialised.
 * `local[N]` runs tasks in N threads, which find the user's functions in their own copy of the job's graph.
 */

import type { JobRunner } from '../../rdd/job-runner.js'
import type { Receiver } from '../../receiver/receiver.js'
import { BlockManager } from '../../storage/block-manager.js'
import type { Journal } from '../../storage/journal.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import type { Clock } from '../../time.js'
import type { BatchClock, Engine, ReceiverHost, ReceiverListener } from '../engine.js'
import { TimerClock } from '../timer-clock.js'
import { DagScheduler } from './dag-scheduler.js'
import { Executor } from './executor.js'
import { LocalTaskScheduler } from './local-task-scheduler.js'
import { MapOutputs } from './map-outputs.js'
import type { GraphSource } from './messages.js'
import { ReceiverTracker } from './receiver-tracker.js'
import { SharedMemory } from './shared-memory.js'
import { ThreadPool } from './thread-pool.js'
import { discard, driverThread, ThreadTaskScheduler } from './thread-task-scheduler.js'

export interface EmbeddedEngineOptions {
  readonly clock: Clock
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly listener: ReceiverListener
  /** How many partitions a shuffle makes when nobody says. */
  readonly parallelism: number
  readonly blockIntervalMs: number
  readonly blockQueueSize: number
  readonly restartDelayMs: number
  /** Bytes of received input that may wait to be processed. */
  readonly memoryBytes: number
  readonly ratePerSecond: number | null
  /** The threads of `local[N]`, or null for `local`. */
  readonly threads: ThreadOptions | null
}

export interface ThreadOptions {
  readonly count: number
  readonly source: GraphSource
  /** The settings in force, as text. */
  readonly conf: Readonly<Record<string, string>>
  /** The shape of the driver's graph, once it is complete. */
  readonly shape: () => readonly string[]
  readonly maxFailures: number
  readonly taskTimeoutMs: number | null
  readonly spillBytes: number
}

export class EmbeddedEngine implements Engine {
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly runner: JobRunner
  readonly #tracker: ReceiverTracker
  readonly #executor: Executor
  readonly #pool: ThreadPool | null

  constructor(options: EmbeddedEngineOptions) {
    const blocks = new BlockManager()
    this.clock = new TimerClock(options.clock)
    const { threads, parallelism } = options
    this.#tracker = new ReceiverTracker({ ...options, blocks })
    this.receivers = this.#tracker
    if (threads === null) {
      this.#pool = null
      this.#executor = new Executor(0, blocks, options.receivers)
      this.runner = new DagScheduler(new LocalTaskScheduler(this.#executor), parallelism)
      return
    }
    const { count, source, conf, shape, maxFailures, taskTimeoutMs, spillBytes } = threads
    const pool = new ThreadPool({ threads: count, source, parallelism, conf, spillBytes, shape })
    this.#pool = pool
    const shared = new SharedPool()
    const memory = new SharedMemory((thread, bytes) => {
      if (thread === driverThread) shared.give(bytes)
      else pool.get(thread)?.giveBack(bytes)
    })
    const mapOutputs = new MapOutputs((stored) => discard(memory, stored))
    const driver = new Executor(0, blocks, options.receivers, mapOutputs)
    this.#executor = driver
    const tasks = new ThreadTaskScheduler({
      pool,
      driver,
      blocks,
      mapOutputs,
      memory,
      shared,
      maxFailures,
      taskTimeoutMs,
    })
    this.runner = new DagScheduler(tasks, parallelism)
  }

  useJournal(journal: Journal): void {
    this.#tracker.useJournal(journal)
  }

  async close(): Promise<void> {
    await this.#pool?.close()
    await this.#executor.close()
  }
}
