/** The batch loop: makes a batch at every tick of the clock, runs its jobs, and sees to what becomes of it. */
import type { DStreamGraph, Job } from '../dstream/dstream-graph.js'
import type { Engine } from '../engine/engine.js'
import type { JobCheckpoint } from '../engine/job-checkpoint.js'
import { toError } from '../errors.js'
import type { Log } from '../log.js'
import type { Time } from '../time.js'
import { thrownAt } from '../user-frames.js'
import type { DeadLetters } from './dead-letters.js'
import { type Downtime, JobGenerator } from './job-generator.js'
import { type FailurePolicy, JobScheduler } from './job-scheduler.js'
import { stopInOrder } from './stop-sequence.js'
import type { BatchInfo, ListenerBus } from './streaming-listener.js'

export interface BatchLoopOptions {
  readonly graph: DStreamGraph
  readonly engine: Pick<Engine, 'clock' | 'receivers' | 'batchFinished'>
  readonly bus: ListenerBus
  readonly log: Log
  readonly concurrentJobs: number
  readonly failurePolicy: FailurePolicy
  /** Where batches that are left out are recorded, or null; asked for when there is one. */
  readonly deadLetters: () => DeadLetters | null
  /** Runs a job so that its RDD actions are known to be for it. */
  readonly within: (job: Job, run: () => Promise<void>) => Promise<void>
  /** So many batches are to be completed, and no more; null for no end. */
  readonly enough: number | null
  /** Called when that many are. Must not be waited for by the stop it begins. */
  readonly onEnough: () => void
  /** A batch failed and is not left out: the loop is to stop. */
  readonly onFailed: (error: Error) => void
}

export class BatchLoop {
  readonly #options: BatchLoopOptions
  readonly #generator: JobGenerator
  readonly #scheduler: JobScheduler
  #completed = 0
  #skipped = 0

  constructor(options: BatchLoopOptions) {
    const { graph, engine, bus, concurrentJobs, failurePolicy, within } = options
    this.#options = options
    const jobsAt = (time: Time): Job[] => graph.jobsAt(time, failurePolicy.action !== 'stop')
    this.#scheduler = new JobScheduler({
      now: () => engine.clock.now(),
      bus,
      concurrentJobs,
      within,
      failurePolicy,
      onCompleted: (time) => this.#complete(time),
      onFailed: (time, error) => this.#fail(time, error),
      onGivenUp: (info) => this.#givenUp(info),
      onSkipped: (info, error) => this.#skip(info, error),
      regenerate: jobsAt,
    })
    this.#generator = new JobGenerator({
      graph,
      clock: engine.clock,
      receivers: engine.receivers,
      jobsAt,
      submit: (jobs) => this.#scheduler.submit(jobs),
      onError: (time, error) => this.#fail(time, toError(error)),
    })
  }

  /** Batches completed since the start, left out, and begun and neither. */
  get counts(): { readonly completed: number; readonly skipped: number; readonly unfinished: number } {
    return { completed: this.#completed, skipped: this.#skipped, unfinished: this.#generator.unfinishedBatches }
  }

  /** True in the code of a job that has not ended: it cannot wait for the loop to stop. */
  get isInsideJob(): boolean {
    return this.#scheduler.isInsideJob
  }

  /** Takes up the batches of the run before, if there was one, and starts the clock. */
  start(checkpoint: JobCheckpoint | null, downtime: Downtime): Promise<void> {
    return this.#generator.start(checkpoint, downtime)
  }

  /** Resolves when every batch generated so far is done. */
  async finished(): Promise<void> {
    await this.#options.engine.clock.settled()
    await this.#scheduler.finished()
  }

  /** Stops receivers, clock and jobs in order; resolves to whether `timeoutMs` passed before a graceful stop was done. */
  stop(graceful: boolean, timeoutMs: number): Promise<{ timedOut: boolean }> {
    const { receivers } = this.#options.engine
    return stopInOrder({ graceful, timeoutMs, receivers, generator: this.#generator, scheduler: this.#scheduler })
  }

  /** Saves all state, when every batch is done. */
  saveState(): Promise<void> {
    return this.#generator.finish()
  }

  async #complete(time: Time): Promise<void> {
    const { engine, enough, onEnough } = this.#options
    this.#completed++
    await this.#generator.completed(time)
    engine.batchFinished?.(time, null)
    if (this.#completed === enough) onEnough()
  }

  async #skip(info: BatchInfo, error: Error): Promise<void> {
    const { engine, log, deadLetters } = this.#options
    const letters = deadLetters()
    const record = letters === null ? null : await letters.add(info, error)
    log.error('Batch failed; left out', {
      batch: info.batchTime,
      records: info.numRecords,
      record,
      error,
      ...thrownAt(error),
    })
    this.#skipped++
    await this.#generator.skipped(info.batchTime, error)
    engine.batchFinished?.(info.batchTime, error)
  }

  #givenUp({ batchTime, outputOperations }: BatchInfo): void {
    const waiting = outputOperations.filter(({ endTime }) => endTime === null)
    this.#options.log.error('The batch does not end; the stop no longer waits for it', {
      batch: batchTime,
      outputs: waiting.map(({ id, name }) => `${id} (${name})`).join(', '),
    })
  }

  #fail(time: Time, error: Error): void {
    const { engine, log, onFailed } = this.#options
    log.error('Batch failed; stopping', { batch: time, error, ...thrownAt(error) })
    engine.batchFinished?.(time, error)
    onFailed(error)
  }
}
