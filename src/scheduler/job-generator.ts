/** Makes a batch at every tick of the clock: gives it the blocks that wait and asks the graph for its jobs. */
import type { DStreamGraph, Job } from '../dstream/dstream-graph.js'
import type { BatchClock, BlockGroups, ReceiverHost } from '../engine/engine.js'
import type { JobCheckpoint } from '../engine/job-checkpoint.js'
import type { Time } from '../time.js'
import type { StreamInputInfo } from './streaming-listener.js'

/** The jobs of one batch and what came in for it. */
export interface JobSet {
  readonly time: Time
  readonly jobs: readonly Job[]
  readonly inputs: readonly StreamInputInfo[]
}

/** What becomes of the batch times at which no process ran: one batch takes all that waits, or each time gets its batch, as in Spark. */
export type Downtime = 'one' | 'each'

export interface JobGeneratorOptions {
  readonly graph: DStreamGraph
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  /** The jobs of a batch whose input the graph has. */
  readonly jobsAt: (time: Time) => readonly Job[]
  readonly submit: (jobs: JobSet) => void
  /** A batch whose jobs could not be made: its blocks stay allocated to it. */
  readonly onError: (time: Time, error: unknown) => void
}

export class JobGenerator {
  readonly #options: JobGeneratorOptions
  /** Batches that are not done, in order of time: their blocks are still needed, whatever later batches finish before them. */
  readonly #pending = new Set<Time>()
  #checkpoint: JobCheckpoint | null = null
  #lastCompleted: Time | null = null
  #isStopped = false
  /** True after a stop that does not wait for the batches of an earlier run: they are left to the next one. */
  #leavesRest = false
  #starting: Promise<void> = Promise.resolve()

  constructor(options: JobGeneratorOptions) {
    this.#options = options
  }

  /**
   * Starts the clock; the first batch is at the next multiple of the batch interval after now. With a checkpoint of an earlier
   * run, first its batches: those begun and not finished run again with the same blocks, the times nobody was there follow
   * `downtime`. After a stop it does nothing.
   */
  start(checkpoint: JobCheckpoint | null, downtime: Downtime): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    const starting = this.#start(checkpoint, downtime)
    // Whoever started it hears of a failure; a stop only waits.
    this.#starting = starting.catch(() => {})
    return starting
  }

  async #start(checkpoint: JobCheckpoint | null, downtime: Downtime): Promise<void> {
    const { graph, clock } = this.#options
    const next = (Math.floor(clock.now() / graph.batchMs) + 1) * graph.batchMs
    const zeroTime = checkpoint?.zeroTime ?? next - graph.batchMs
    graph.start(zeroTime)
    this.#checkpoint = checkpoint
    const firstTime = checkpoint === null ? next : await this.#recover(checkpoint, next, downtime)
    if (this.#isStopped) return
    await checkpoint?.started(zeroTime, clock.now(), graph)
    if (this.#isStopped) return
    clock.start(firstTime, graph.batchMs, (time) => this.#generate(time))
  }

  /**
   * Stops the clock, once batches of an earlier run that are being made again are made. With `finish`, blocks that no batch has taken
   * yet go to one more, cut early at the next batch time: waiting for a long interval to pass would gain nothing.
   */
  async stop(finish: boolean): Promise<void> {
    const { graph, clock, receivers } = this.#options
    this.#isStopped = true
    if (!finish) this.#leavesRest = true
    await this.#starting
    const lastTime = await clock.stop()
    if (finish && receivers.hasUnallocatedBlocks) await this.#generate((lastTime ?? graph.zeroTime) + graph.batchMs)
  }

  /** Saves all state, when every batch is done. */
  async finish(): Promise<void> {
    if (this.#lastCompleted !== null && this.#pending.size === 0)
      await this.#checkpoint?.finish(this.#lastCompleted, this.#options.graph)
  }

  /** Batches generated and neither completed nor left out. */
  get unfinishedBatches(): number {
    return this.#pending.size
  }

  /** The batch of `time` is done: forget what nobody needs any more. */
  async completed(time: Time): Promise<void> {
    const { graph } = this.#options
    await graph.cutHistory(time)
    await this.#checkpoint?.completed(time, graph)
    this.#lastCompleted = Math.max(this.#lastCompleted ?? time, time)
    await this.#forget(time)
  }

  /** The batch of `time` failed and is left out. */
  async skipped(time: Time, error: Error): Promise<void> {
    this.#options.graph.leaveOut(time)
    await this.#checkpoint?.skipped(time, error)
    await this.#forget(time)
  }

  async #forget(time: Time): Promise<void> {
    const { graph, receivers } = this.#options
    receivers.processed?.(time)
    this.#pending.delete(time)
    const [oldest] = this.#pending
    const done = oldest === undefined ? time : Math.min(time, oldest - graph.batchMs)
    graph.forget(done)
    // An input that only its own batch reads is let go with that batch; windows over it make it stay.
    const kept = this.#checkpoint?.keepFrom(graph, done) ?? done
    await receivers.release(kept - graph.inputRememberMs + graph.batchMs + 1)
  }

  /** Brings the graph to where the earlier run ended; returns the time of the first new batch. */
  async #recover(checkpoint: JobCheckpoint, next: Time, downtime: Downtime): Promise<Time> {
    const { graph, receivers } = this.#options
    const { batches, lastBegun: last } = checkpoint
    const [earliest] = batches.keys()
    graph.earliestTime = earliest ?? (last ?? graph.zeroTime) + graph.batchMs
    checkpoint.resumeInputs(graph)
    checkpoint.restoreState(graph)
    // Times between two batches at which no process ran were left out then, and are now.
    let before: Time | null = null
    for (const [time, { status }] of [...batches]) {
      if (before === null || time > before + graph.batchMs) graph.carryState(before, time)
      if (status === 'pending' && this.#leavesRest) this.#pending.add(time)
      else if (status === 'pending') await this.#generate(time)
      else if (status === 'completed') graph.takeInputs(time, await receivers.allocate(time))
      else graph.leaveOutInputs(time)
      before = time
    }
    if (last === null) return next
    const firstTime = checkpoint.clockCatchesUp ? last + graph.batchMs : Math.max(next, last + graph.batchMs)
    graph.carryState(before, downtime === 'each' ? last + graph.batchMs : firstTime)
    if (downtime === 'each') {
      for (let time = last + graph.batchMs; time < firstTime && !this.#isStopped; time += graph.batchMs) {
        await this.#generate(time)
      }
    }
    return firstTime
  }

  async #generate(time: Time): Promise<void> {
    const { graph, receivers, jobsAt, submit, onError } = this.#options
    this.#pending.add(time)
    try {
      const blocks = await receivers.allocate(time)
      graph.takeInputs(time, blocks)
      const jobs = jobsAt(time)
      await this.#checkpoint?.inputsTaken(time, graph)
      submit({ time, jobs, inputs: inputInfos(graph, blocks) })
    } catch (error) {
      onError(time, error)
    }
  }
}

function inputInfos(graph: DStreamGraph, blocks: ReadonlyMap<number, BlockGroups>): StreamInputInfo[] {
  return graph.inputs.map(({ streamId }) => {
    let numRecords = 0
    for (const group of blocks.get(streamId) ?? []) for (const block of group) numRecords += block.records
    return { streamId, numRecords }
  })
}
