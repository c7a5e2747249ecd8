/** The engine inside Node. Master `local` runs everything in the caller's thread: nothing is copied, nothing is serialised. */

import type { JobRunner } from '../../rdd/job-runner.js'
import type { Receiver } from '../../receiver/receiver.js'
import { BlockManager } from '../../storage/block-manager.js'
import type { Journal } from '../../storage/journal.js'
import type { Clock } from '../../time.js'
import type { BatchClock, Engine, ReceiverHost, ReceiverListener } from '../engine.js'
import { TimerClock } from '../timer-clock.js'
import { DagScheduler } from './dag-scheduler.js'
import { Executor } from './executor.js'
import { LocalTaskScheduler } from './local-task-scheduler.js'
import { ReceiverTracker } from './receiver-tracker.js'

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
}

export class EmbeddedEngine implements Engine {
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly runner: JobRunner
  readonly #executor: Executor
  readonly #tracker: ReceiverTracker

  constructor(options: EmbeddedEngineOptions) {
    const blocks = new BlockManager()
    this.clock = new TimerClock(options.clock)
    this.#executor = new Executor(0, blocks, options.receivers)
    this.runner = new DagScheduler(new LocalTaskScheduler(this.#executor), options.parallelism)
    this.#tracker = new ReceiverTracker({ ...options, blocks })
    this.receivers = this.#tracker
  }

  useJournal(journal: Journal): void {
    this.#tracker.useJournal(journal)
  }

  close(): Promise<void> {
    return this.#executor.close()
  }
}
