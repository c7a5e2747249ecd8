/** Runs the jobs of each batch, one batch at a time by default, in order, and measures how long they waited and took. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Job } from '../dstream/dstream-graph.js'
import { MillraceError, toError } from '../errors.js'
import type { Time } from '../time.js'
import type { JobSet } from './job-generator.js'
import type { BatchInfo, ListenerBus, OutputOperationInfo } from './streaming-listener.js'

export interface JobSchedulerOptions {
  readonly now: () => Time
  readonly bus: ListenerBus
  /** How many jobs may run at once (`spark.streaming.concurrentJobs`). Those that share state run one after another all the same. */
  readonly concurrentJobs: number
  /** Runs a job so that its RDD actions are known to be for it. */
  readonly within: (job: Job, run: () => Promise<void>) => Promise<void>
  /** Called when all jobs of a batch succeeded. */
  readonly onCompleted: (time: Time) => Promise<void>
  /** What follows when a job fails. */
  readonly failurePolicy: FailurePolicy
  /** Called once per failed batch, with its first error; the batch is not counted as processed. */
  readonly onFailed: (time: Time, error: Error) => void
  /** Called for a batch that had not ended when it was given up, see `giveUp`. */
  readonly onGivenUp: (info: BatchInfo) => void
  /** Called in its place under the policy `skip`. The batch counts as left out, not as processed. */
  readonly onSkipped: (info: BatchInfo, error: Error) => Promise<void>
  /** The jobs of a batch made anew, after one before it was left out. */
  readonly regenerate: (time: Time) => readonly Job[]
}

/** What follows when a job of a batch fails: the context stops; the job runs again, up to so many times, and then the context stops; the batch is left out. */
export interface FailurePolicy {
  readonly action: 'stop' | 'retry' | 'skip'
  readonly maxRetries: number
}

interface RunningBatch {
  readonly set: JobSet
  info: BatchInfo
  unfinished: number
  error: Error | null
}

export class JobScheduler {
  readonly #options: JobSchedulerOptions
  readonly #queue: { readonly batch: RunningBatch; job: Job }[] = []
  /** Operators with state that a running job stands on. */
  readonly #statesInUse = new Set<string>()
  readonly #inside = new AsyncLocalStorage<{ isDone: boolean }>()
  readonly #begun = new Set<RunningBatch>()
  #running = 0
  #isStopped = false
  /** Nobody waits for what runs any longer. */
  #isGivenUp = false
  #idle: (() => void)[] = []

  constructor(options: JobSchedulerOptions) {
    this.#options = options
  }

  /** Puts the jobs of a batch in the queue; after `stop` it drops them. A batch without jobs is completed at once, without events, as in Spark. */
  submit(set: JobSet): void {
    if (this.#isStopped) return
    const { now, bus } = this.#options
    const batch: RunningBatch = { set, info: submitted(set, now()), unfinished: set.jobs.length, error: null }
    if (set.jobs.length === 0) {
      void this.#complete(batch)
      return
    }
    bus.post('onBatchSubmitted', batch.info)
    for (const job of set.jobs) this.#queue.push({ batch, job })
    this.#next()
  }

  /** Resolves when nothing is queued or running. */
  async finished(): Promise<void> {
    while (!this.#isGivenUp && (this.#running > 0 || this.#queue.length > 0))
      await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** True in the code of a job that has not ended, also after it awaited something: it cannot wait for the scheduler to finish. */
  get isInsideJob(): boolean {
    return this.#inside.getStore()?.isDone === false
  }

  /** Batches that wait for their first job to start. */
  get waitingBatches(): number {
    return new Set(this.#queue.map(({ batch }) => batch.set.time)).size
  }

  /** Starts no more jobs of batches that have not begun; resolves when the batch that runs is done. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#dropUnstarted()
    await this.finished()
  }

  /** After `stop`: waits no longer for the batches that run. However their jobs end, they do not count as done, and run at the next start. */
  giveUp(): void {
    this.#isGivenUp = true
    this.#queue.length = 0
    for (const { info } of this.#begun) this.#options.onGivenUp(info)
    this.#wake()
  }

  #wake(): void {
    const idle = this.#idle
    this.#idle = []
    for (const wake of idle) wake()
  }

  #dropUnstarted(): void {
    const started = this.#queue.filter(({ batch }) => batch.info.processingStartTime !== null)
    this.#queue.splice(0, this.#queue.length, ...started)
  }

  #next(): void {
    while (this.#running < this.#options.concurrentJobs) {
      const next = this.#takeNext()
      if (next === null) break
      const { states } = next.job
      for (const state of states) this.#statesInUse.add(state)
      this.#running++
      void this.#run(next.batch, next.job).finally(() => {
        this.#running--
        for (const state of states) this.#statesInUse.delete(state)
        if (this.#isStopped) this.#dropUnstarted()
        this.#next()
      })
    }
    if (this.#running === 0 && this.#queue.length === 0) this.#wake()
  }

  /** The first job that stands on no state a job before it is to leave behind. */
  #takeNext(): { readonly batch: RunningBatch; readonly job: Job } | null {
    const awaited = new Set(this.#statesInUse)
    for (let i = 0; i < this.#queue.length; i++) {
      const { states } = this.#queue[i]!.job
      if (!states.some((state) => awaited.has(state))) return this.#queue.splice(i, 1)[0]!
      for (const state of states) awaited.add(state)
    }
    return null
  }

  async #run(batch: RunningBatch, job: Job): Promise<void> {
    const { now, bus, within } = this.#options
    if (batch.info.processingStartTime === null) {
      batch.info = { ...batch.info, processingStartTime: now(), schedulingDelay: now() - batch.info.submissionTime }
      this.#begun.add(batch)
      bus.post('onBatchStarted', batch.info)
    }
    this.#note(batch, job.outputId, { startTime: now() }, 'onOutputOperationStarted')
    const { action, maxRetries } = this.#options.failurePolicy
    let failure: Error | null = null
    const running = { isDone: false }
    for (let attempt = 0; attempt <= (action === 'retry' ? maxRetries : 0); attempt++) {
      failure = null
      try {
        await this.#inside.run(running, () => within(job, () => job.run()))
        break
      } catch (thrown) {
        failure = batchError(thrown, job)
        if (this.#isStopped) break
      }
    }
    running.isDone = true
    if (this.#isGivenUp) return
    if (failure !== null) batch.error ??= failure
    this.#note(
      batch,
      job.outputId,
      { endTime: now(), failureReason: failure?.message ?? null },
      'onOutputOperationCompleted',
    )
    batch.unfinished--
    if (batch.unfinished > 0) return
    await this.#complete(batch)
    this.#begun.delete(batch)
  }

  async #complete(batch: RunningBatch): Promise<void> {
    const { now, bus, onCompleted, onFailed } = this.#options
    const { time, jobs } = batch.set
    try {
      if (batch.error === null) await onCompleted(time)
    } catch (error) {
      batch.error = toError(error)
    }
    if (jobs.length > 0) {
      const end = now()
      const { processingStartTime, submissionTime } = batch.info
      batch.info = {
        ...batch.info,
        processingEndTime: end,
        processingDelay: end - (processingStartTime ?? end),
        totalDelay: end - submissionTime,
      }
      bus.post('onBatchCompleted', batch.info)
    }
    if (batch.error === null) return
    if (this.#options.failurePolicy.action !== 'skip') {
      onFailed(time, batch.error)
      return
    }
    try {
      await this.#options.onSkipped(batch.info, batch.error)
      this.#regenerateWaiting()
    } catch (error) {
      onFailed(time, toError(error))
    }
  }

  /** Batches that wait may be made from what the failed one would have given; they get jobs that do without it. */
  #regenerateWaiting(): void {
    const fresh = new Map<RunningBatch, readonly Job[]>()
    for (const entry of this.#queue) {
      const { batch, job } = entry
      if (batch.info.processingStartTime !== null) continue
      if (!fresh.has(batch)) fresh.set(batch, this.#options.regenerate(batch.set.time))
      entry.job = fresh.get(batch)!.find(({ outputId }) => outputId === job.outputId) ?? job
    }
  }

  #note(
    batch: RunningBatch,
    outputId: number,
    change: Partial<OutputOperationInfo>,
    event: 'onOutputOperationStarted' | 'onOutputOperationCompleted',
  ): void {
    const outputOperations = batch.info.outputOperations.map((output) =>
      output.id === outputId ? { ...output, ...change } : output,
    )
    batch.info = { ...batch.info, outputOperations }
    const changed = outputOperations.find((output) => output.id === outputId)
    if (changed !== undefined) this.#options.bus.post(event, changed)
  }
}

function submitted({ time, jobs, inputs }: JobSet, submissionTime: Time): BatchInfo {
  return {
    batchTime: time,
    inputs,
    numRecords: inputs.reduce((sum, input) => sum + input.numRecords, 0),
    submissionTime,
    processingStartTime: null,
    processingEndTime: null,
    schedulingDelay: null,
    processingDelay: null,
    totalDelay: null,
    outputOperations: jobs.map(({ outputId, name }) => ({
      batchTime: time,
      id: outputId,
      name,
      startTime: null,
      endTime: null,
      failureReason: null,
    })),
  }
}

/** The error of a batch: names the batch and the output, which is the operator unless what failed named another, and keeps what the task's error said. */
export function batchError(thrown: unknown, job: Job): MillraceError {
  const error = toError(thrown)
  const details = error instanceof MillraceError ? error.details : {}
  return new MillraceError(
    'BATCH_FAILED',
    `Batch ${job.time} failed in output ${job.outputId} (${job.name}): ${error.message}`,
    {
      cause: error,
      details: { operator: job.name, ...details, batchTime: job.time, outputId: job.outputId },
    },
  )
}
