/**
 * On whose behalf jobs are started: a batch, or the program itself, with the properties set for it. It also knows the jobs that
 * run, so that a group of them, or all, can be cancelled.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { MillraceError } from '../errors.js'
import { CallSite } from './call-site.js'
import type { JobDescription } from './job-runner.js'

/** The property that names the group of a job; see `SparkContext.setJobGroup`. */
export const jobGroupProperty = 'spark.jobGroup.id'
/** The property that says in words what a job is for. */
export const jobDescriptionProperty = 'spark.job.description'

/** What all jobs started by one piece of code have in common. */
interface Scope {
  readonly batch: Pick<JobDescription, 'batchTime' | 'outputId' | 'callSite'> & { readonly name: string | null }
  readonly properties: Map<string, string>
  /** Aborted when the asynchronous action that this code is was cancelled. */
  readonly signal: AbortSignal | null
}

interface RunningJob {
  readonly group: string | null
  readonly abort: AbortController
}

export class JobScopes {
  readonly #inner = new AsyncLocalStorage<Scope>()
  readonly #program: Scope = {
    batch: { batchTime: null, outputId: null, name: null },
    properties: new Map(),
    signal: null,
  }
  readonly #running = new Set<RunningJob>()
  #idle: (() => void)[] = []

  get #scope(): Scope {
    return this.#inner.getStore() ?? this.#program
  }

  /** The properties that hold where this is called: of the batch whose output runs, else of the program. */
  get properties(): Map<string, string> {
    return this.#scope.properties
  }

  /** The time of the batch whose output is running here, or null. */
  get batchTime(): number | null {
    return this.#scope.batch.batchTime
  }

  /** Runs `body`, whose jobs are those of an output of a batch: with the properties given and Spark's own, in no group. What `body` sets stays its own. */
  inBatch<R>(batch: JobDescription, inherited: ReadonlyMap<string, string>, body: () => R): R {
    const { batchTime, outputId } = batch
    const properties = new Map([
      ...inherited,
      [jobDescriptionProperty, `Streaming job from [output operation ${outputId}, batch time ${batchTime} ms]`],
      ['spark.job.interruptOnCancel', 'false'],
      ['spark.streaming.internal.batchTime', String(batchTime)],
      ['spark.streaming.internal.outputOpId', String(outputId)],
    ])
    properties.delete(jobGroupProperty)
    return this.#inner.run({ batch, properties, signal: null }, body)
  }

  /** Runs `body`, whose jobs are cancelled when `signal` is aborted. */
  cancellable<R>(signal: AbortSignal, body: () => R): R {
    const { batch, properties } = this.#scope
    return this.#inner.run({ batch, properties: new Map(properties), signal }, body)
  }

  /** Runs one job; rejects with `JOB_CANCELLED` as soon as it is cancelled. */
  async run<R>(action: string, body: (job: JobDescription) => Promise<R>): Promise<R> {
    const { batch, properties, signal } = this.#scope
    signal?.throwIfAborted()
    const abort = new AbortController()
    const job: RunningJob = { group: properties.get(jobGroupProperty) ?? null, abort }
    const onAbort = (): void => abort.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort)
    this.#running.add(job)
    const name = batch.name ?? properties.get(jobDescriptionProperty) ?? action
    const callSite = batch.callSite ?? new CallSite()
    try {
      return await new Promise<R>((resolve, reject) => {
        abort.signal.addEventListener('abort', () => reject(abort.signal.reason))
        body({ ...batch, name, callSite, signal: abort.signal }).then(resolve, reject)
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#running.delete(job)
      if (this.#running.size === 0) {
        const idle = this.#idle
        this.#idle = []
        for (const wake of idle) wake()
      }
    }
  }

  /** Cancels the jobs of a group that run now, all of them when it is null. */
  cancel(group: string | null): void {
    for (const job of [...this.#running]) {
      if (group === null || job.group === group) job.abort.abort(cancelled(group))
    }
  }

  /** True while a job runs. */
  get isBusy(): boolean {
    return this.#running.size > 0
  }

  /** Resolves when no job runs. */
  async idle(): Promise<void> {
    while (this.isBusy) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}

/** The error of a job that was cancelled. */
export function cancelled(group: string | null): MillraceError {
  const which = group === null ? 'The job was cancelled.' : `The job was cancelled with its group ${group}.`
  return new MillraceError('JOB_CANCELLED', which, { details: { group } })
}
