/**
 * The engine on Apache Spark: its batch clock is Spark's, its receivers run beside Spark's executors, its jobs are Spark jobs.
 *
 *   Spark ticks → BATCH(t) → blocks of t are known → the graph makes its jobs → each runs on Spark's thread of t → BATCH_DONE(t)
 */
import type { Conf } from '../../conf.js'
import { errorToData, MillraceError } from '../../errors.js'
import type { AccumulatorUpdate } from '../../rdd/accumulator.js'
import type { Application } from '../../rdd/job-runner.js'
import type { BlockInfo } from '../../rdd/lineage.js'
import type { Receiver } from '../../receiver/receiver.js'
import { type Clock, systemClock, type Time } from '../../time.js'
import type { BatchClock, BlockGroups, Engine, ReceiverHost, ReceiverListener } from '../engine.js'
import { type CheckpointedJob, type JobCheckpoint, openOrPutAside } from '../job-checkpoint.js'
import { TimerClock } from '../timer-clock.js'
import type { BatchAnnouncement, BridgeConnection } from './bridge-connection.js'
import { CheckpointFiles } from './checkpoint-files.js'
import type { SparkEvent } from './protocol.js'
import { receiverFailure } from './receiver-failure.js'
import { SparkCheckpoint } from './spark-checkpoint.js'
import { SparkPlanner, sparkBlockId, storageLevelValue } from './spark-planner.js'
import { SparkRunner } from './spark-runner.js'
import type { SparkSession } from './spark-session.js'

export interface SparkEngineOptions {
  readonly clock: Clock
  readonly conf: Conf
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly listener: ReceiverListener
  readonly onFailure: (error: Error) => void
  /** Opens Spark. Called once: by the start, or by the first job before it. */
  readonly connect: () => Promise<SparkSession>
  /** How many partitions a shuffle makes until Spark has said. */
  readonly expectedParallelism: number
  /** The shape of the job's graph. */
  readonly shape: () => readonly string[]
  /** The line each operator stands in, by its id. */
  readonly places: () => ReadonlyMap<string, string>
  /** How long inputs are needed after their batch, in milliseconds; known once the graph is complete. */
  readonly inputRememberMs: () => number
  /** The longest time between two savings of an operator's state, in milliseconds. */
  readonly stateIntervalMs: () => number
  /** Takes what tasks added to accumulators. */
  readonly accumulated: (updates: readonly AccumulatorUpdate[]) => void
}

type Tick = (time: Time) => Promise<void>

export class SparkEngine implements Engine {
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly runner: SparkRunner
  readonly #options: SparkEngineOptions
  readonly #planner: SparkPlanner
  readonly #ticks: SparkTicks
  /** Batches Spark waits for. */
  readonly #open = new Set<Time>()
  readonly #announced = new Map<Time, BatchAnnouncement>()
  #connecting: Promise<SparkSession> | null = null
  #session: SparkSession | null = null
  #closing = false
  #checkpoint: SparkCheckpoint | null = null
  #checkpointDirectory: string | null = null

  constructor(options: SparkEngineOptions) {
    this.#options = options
    this.#planner = new SparkPlanner(options.shape, options.places)
    const { accumulated } = options
    const planner = this.#planner
    const connect = async (): Promise<BridgeConnection> => (await this.#connect()).connection
    const parallelism = (): number => this.#session?.defaultParallelism ?? options.expectedParallelism
    this.runner = new SparkRunner({ connect, planner, parallelism, accumulated }, this.#open)
    this.#ticks = new SparkTicks((time) => this.batchFinished(time, stopped()))
    // A clock that a test turns by hand cannot be Spark's: the batches are then made here, their jobs run on Spark all the same.
    this.clock = options.clock === systemClock ? this.#ticks : new TimerClock(options.clock)
    this.receivers = this.#receiverHost(this.#ticks)
  }

  /** Spark, opened when it is asked for the first time. Rejects with what opening it threw, every time. */
  #connect(): Promise<SparkSession> {
    this.#connecting ??= this.#opened()
    return this.#connecting
  }

  async #opened(): Promise<SparkSession> {
    const session = await this.#options.connect()
    const { connection } = session
    connection.on('batch', (batch) => {
      // Spark announces again what its checkpoint does not know as done.
      if (this.#checkpoint?.isDone(batch.time) === true) {
        connection.finishBatch(batch.time, null)
        return
      }
      this.#open.add(batch.time)
      this.#announced.set(batch.time, batch)
      this.#ticks.tick(batch.time)
    })
    connection.on('spark', (event) => this.#heard(event))
    connection.once('closed', (error) => {
      if (!this.#closing && error !== null) this.#options.onFailure(error)
    })
    this.#session = session
    return session
  }

  /** The application in Spark, once it is open. */
  get application(): Application | null {
    const session = this.#session
    return session === null ? null : { id: session.applicationId, uiUrl: session.uiUrl }
  }

  async openCheckpoint(job: CheckpointedJob, createOnError: boolean): Promise<JobCheckpoint> {
    const { directory } = job
    const { connection } = await this.#connect()
    const files = new CheckpointFiles((operations) => connection.call(operations), directory)
    const names = await files.list('.')
    const hasSparks = names.some((name) => /^checkpoint-\d+$/.test(name))
    const parts = { files, runner: this.runner, announced: (time: Time) => this.#announced.get(time) }
    const checkpoint = await openOrPutAside((isNew) => SparkCheckpoint.open(job, parts, hasSparks && !isNew), {
      directory,
      createOnError,
      onError: job.onError,
      rename: async (from, to) => {
        await connection.call([['rename', from, to]])
      },
    })
    for (const [time, { inputs }] of checkpoint.batches) this.#announced.set(time, { time, inputs })
    this.#checkpoint = checkpoint
    this.#checkpointDirectory = directory
    this.runner.needsHistory = true
    checkpoint.checkReceivers(
      [...this.#options.receivers].map(([stream, receiver]) => `${stream}-${receiver.constructor.name}`),
    )
    return checkpoint
  }

  batchFinished(time: Time, error: Error | null): void {
    if (!this.#open.delete(time)) return
    const failure = error === null ? null : { text: error.message, data: errorToData(error) }
    this.#session?.connection.finishBatch(time, failure)
  }

  async close(): Promise<void> {
    this.#closing = true
    // Spark that could not be opened has ended by itself, and whoever asked for it knows why.
    const session = await this.#connecting?.catch(() => null)
    await session?.close()
  }

  #receiverHost(ticks: SparkTicks): ReceiverHost {
    return {
      start: async (receivers) => {
        const { connection } = await this.#connect()
        if (this.clock !== ticks) {
          if (receivers.size === 0) return
          throw new MillraceError('UNSUPPORTED', 'Receivers on Spark need the clock of the machine, not a manual one.')
        }
        const placed = [...receivers.values()].map(
          (receiver) => [receiver.preferredLocation ?? null, storageLevelValue(receiver.storageLevel)] as const,
        )
        const { inputRememberMs, stateIntervalMs } = this.#options
        // With a checkpoint, input stays until the state made of it has been saved, and once more as long, should that fail.
        const beyond = this.#checkpoint === null ? 0 : 2 * stateIntervalMs() + ticks.intervalMs
        const remember = Math.max(inputRememberMs(), ticks.intervalMs) + beyond
        await connection.call([['streaming', ticks.intervalMs, remember, this.#checkpointDirectory, placed], ['start']])
        ticks.isRunning = true
      },
      allocate: async (time) => this.#blocksOf(time),
      hasUnallocatedBlocks: false,
      // Spark's own rate estimator reaches the receivers by itself.
      setRate: () => {},
      release: async (time) => {
        for (const announced of this.#announced.keys()) if (announced < time) this.#announced.delete(announced)
        const handles = this.#planner.forgetInputs(time)
        if (ticks.isRunning)
          await this.#session?.connection.call([
            ['drop', handles],
            ['forget', time],
          ])
        await this.#checkpoint?.forgetBefore(time)
      },
      stop: async (gracefully) => {
        // Gracefully, Spark runs the batches that remain before it answers.
        if (ticks.isRunning) await this.#session?.connection.call([['stopStreaming', gracefully]])
        ticks.isRunning = false
      },
    }
  }

  #blocksOf(time: Time): ReadonlyMap<number, BlockGroups> {
    const announced = this.#announced.get(time)
    const groups = new Map<number, BlockGroups>()
    const streams = [...this.#options.receivers.keys()]
    announced?.inputs.forEach(({ partitions, records }, i) => {
      const blocks = Array.from(
        { length: partitions },
        (_, partition): BlockInfo => ({
          id: sparkBlockId({ time, input: i + 1, partition }),
          streamId: streams[i]!,
          // Spark counts the records of a batch, not of its blocks.
          records: partition === 0 ? (records ?? 0) : 0,
          bytes: 0,
          slot: partition,
          locations: [],
        }),
      )
      groups.set(streams[i]!, this.#grouped(blocks))
    })
    return groups
  }

  /** Neighbours together, at most one partition for each block interval of the batch: what Spark's users know. */
  #grouped(blocks: readonly BlockInfo[]): BlockInfo[][] {
    const { conf } = this.#options
    const intervals = Math.ceil((this.clock as SparkTicks).intervalMs / conf.get('spark.streaming.blockInterval'))
    const count = Math.min(blocks.length, Math.max(intervals, 1))
    const edge = (i: number): number => Math.floor((i * blocks.length) / count)
    return Array.from({ length: count }, (_, i) => blocks.slice(edge(i), edge(i + 1)))
  }

  #heard(event: SparkEvent): void {
    if (event[0] !== 'receiverStarted' && event[0] !== 'receiverError' && event[0] !== 'receiverStopped') return
    const { receivers, listener } = this.#options
    // Spark's stream 0 is the clock; the receivers follow in the order they were given.
    const entry = [...receivers][event[1] - 1]
    if (entry === undefined) return
    const [name, , , , message, error] = event
    const state = { streamId: entry[0], name: entry[1].constructor.name }
    const failure = receiverFailure(error)
    if (name === 'receiverStarted') listener.receiverStarted(state)
    else if (name === 'receiverStopped') listener.receiverStopped({ ...state, message, error: failure })
    else listener.receiverError({ ...state, message, error: failure ?? new MillraceError('RECEIVER_FAILED', message) })
  }
}

function stopped(): MillraceError {
  return new MillraceError('CONTEXT_STOPPED', 'The streaming context has been stopped.')
}

/** Spark's batch clock: ticks when the JVM announces a batch. */
class SparkTicks implements BatchClock {
  intervalMs = 0
  isRunning = false
  readonly #refuse: (time: Time) => void
  #tick: Tick | null = null
  #last: Time | null = null
  #ticking: Promise<void> = Promise.resolve()

  /** `refuse` is told of batches that come after the stop. */
  constructor(refuse: (time: Time) => void) {
    this.#refuse = refuse
  }

  now(): Time {
    return systemClock.now()
  }

  start(_firstTime: Time, intervalMs: number, tick: Tick): void {
    this.intervalMs = intervalMs
    this.#tick = tick
  }

  tick(time: Time): void {
    const { intervalMs } = this
    this.#ticking = this.#ticking.then(async () => {
      if (this.#tick === null || intervalMs === 0) {
        this.#refuse(time)
        return
      }
      this.#last = time
      await this.#tick(time)
    })
  }

  settled(): Promise<void> {
    return this.#ticking
  }

  async stop(): Promise<Time | null> {
    this.#tick = null
    await this.#ticking
    return this.#last
  }
}
