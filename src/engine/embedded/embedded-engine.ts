/**
 * The engine inside Node. Master `local` runs everything in the caller's thread: nothing is copied, nothing is serialised.
 * `local[N]` runs tasks in N threads, which find the user's functions in their own copy of the job's graph.
 */

import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AccumulatorUpdate } from '../../rdd/accumulator.js'
import type { JobRunner } from '../../rdd/job-runner.js'
import type { Receiver } from '../../receiver/receiver.js'
import type { ListenerBus } from '../../scheduler/streaming-listener.js'
import { type BlockContent, BlockManager } from '../../storage/block-manager.js'
import type { Journal } from '../../storage/journal.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import { SpillDirectory } from '../../storage/spill-directory.js'
import { removeStored, type StoredBytes } from '../../storage/stored-bytes.js'
import type { Clock } from '../../time.js'
import type { BatchClock, Engine, LoggedInput, ReceiverHost, ReceiverListener } from '../engine.js'
import type { GraphSource } from '../recording-engine.js'
import { TimerClock } from '../timer-clock.js'
import { DagScheduler } from './dag-scheduler.js'
import { Executor } from './executor.js'
import { LocalTaskScheduler } from './local-task-scheduler.js'
import { MapOutputs } from './map-outputs.js'
import { ReceiverThreads } from './receiver-threads.js'
import { ReceiverTracker } from './receiver-tracker.js'
import { discard, discardContent, driverThread, SharedMemory } from './shared-memory.js'
import { TaskReporter } from './task-reporter.js'
import type { Speculation } from './task-set.js'
import { ThreadPool } from './thread-pool.js'
import { ThreadTaskScheduler } from './thread-task-scheduler.js'
import { ValueHolders } from './value-holders.js'

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
  /** And of it in files, where the storage level of its receiver has disk. */
  readonly diskBytes: number
  readonly ratePerSecond: number | null
  /** Memory that partitions of persisted RDDs may take, in bytes. */
  readonly storageBytes: number
  /** Output of map tasks that may lie in memory, in bytes. */
  readonly shuffleBytes: number
  /** How often a stage is tried when what it relies on is gone. */
  readonly stageAttemptsMax: number
  /** Hears of stages, tasks and threads. */
  readonly bus: ListenerBus
  /** Takes what tasks in threads added to accumulators. */
  readonly accumulated: (updates: readonly AccumulatorUpdate[]) => void
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
  /** The order of stages that run at once. */
  readonly mode: 'FAIR' | 'FIFO'
  /** How long a task waits for the thread that holds what it reads; null for as long as that can pay. */
  readonly localityWaitMs: number | null
  /** Null for no second copies of slow tasks. */
  readonly speculation: Speculation | null
  /** The heap of each thread, in bytes, or null for what Node gives. */
  readonly heapBytes: number | null
}

export class EmbeddedEngine implements Engine {
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly runner: JobRunner
  readonly #tracker: ReceiverTracker
  /** The driver's own: all there is on `local`, on `local[N]` for what only the driver can run. */
  readonly #executor: Executor
  readonly #spill: SpillDirectory
  readonly #blocks: BlockManager
  readonly #threads: { close(): Promise<void> }[] = []

  constructor(options: EmbeddedEngineOptions) {
    const { clock, receivers, threads, parallelism } = options
    this.clock = new TimerClock(clock)
    const spillDirectory = join(tmpdir(), `millrace-${process.pid}-${randomUUID().slice(0, 8)}`)
    const spill = new SpillDirectory(spillDirectory)
    this.#spill = spill
    const { storageBytes, stageAttemptsMax, accumulated } = options
    const reporter = new TaskReporter(options.bus, () => clock.now())
    if (threads === null) {
      const onDropped = (content: BlockContent): void => {
        if (content.type === 'stored') removeStored(content.stored)
        else if (content.type === 'bytes') content.lent?.drop()
      }
      const blocks = new BlockManager({ memoryBytes: storageBytes, spill, onDropped })
      const mapOutputs = new MapOutputs(options.shuffleBytes, removeStored)
      this.#executor = new Executor({ id: driverThread, blocks, receivers, mapOutputs, spillDirectory })
      this.#tracker = new ReceiverTracker({ ...options, blocks, spill, threads: null, prepare: async () => {} })
      const tasks = new LocalTaskScheduler(this.#executor, reporter)
      this.runner = new DagScheduler(tasks, parallelism, stageAttemptsMax)
    } else {
      let lastId = driverThread
      const nextId = (): number => ++lastId
      const { count, shape, source, conf, heapBytes, localityWaitMs } = threads
      const heldMaxBytes = storageBytes / count
      const start = { source, conf, heapBytes, parallelism, spillDirectory, heldMaxBytes }
      const shared = new SharedPool()
      const memory: SharedMemory = new SharedMemory((thread, bytes) => {
        if (thread === driverThread) shared.give(bytes)
        else pool.get(thread)?.giveBack(bytes)
        hosts.giveBack(thread, bytes)
      })
      const own = (stored: StoredBytes, thread: number): void => memory.own(stored, thread)
      const pool = new ThreadPool({ threads: count, start, shape, nextId, reporter })
      const hosts = new ReceiverThreads({ threadsMax: count, start, shape, nextId, own, reporter })
      const onDropped = (content: BlockContent): void => {
        discardContent(memory, content)
      }
      const blocks = new BlockManager({ memoryBytes: storageBytes, spill, onDropped })
      const mapOutputs = new MapOutputs(options.shuffleBytes, (stored) => discard(memory, stored))
      const executor = new Executor({ id: driverThread, blocks, receivers, mapOutputs, spillDirectory })
      this.#executor = executor
      const driver = new LocalTaskScheduler(executor, reporter)
      const holders = new ValueHolders(localityWaitMs)
      const parts = { pool, holders, driver, executor, blocks, mapOutputs, memory, shared, reporter, accumulated }
      const tasks = new ThreadTaskScheduler({ ...threads, ...parts, threads: count })
      this.#tracker = new ReceiverTracker({ ...options, blocks, spill, threads: hosts, prepare: () => tasks.start() })
      this.runner = new DagScheduler(tasks, parallelism, stageAttemptsMax)
      this.#threads.push(hosts, tasks)
    }
    this.receivers = this.#tracker
    this.#blocks = this.#executor.blocks
  }

  takeUp(logged: LoggedInput): void {
    this.#tracker.takeUp(logged)
  }

  useJournal(journal: Journal): void {
    this.#tracker.useJournal(journal)
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((threads) => threads.close()))
    await this.#executor.close()
    await this.#blocks.settled()
    await this.#spill.remove()
  }
}
