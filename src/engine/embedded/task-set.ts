/** The tasks of one stage: which wait for a thread, which run, in how many copies, and what has come of them. */
import type { JobDescription } from '../../rdd/job-runner.js'
import type { Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import type { RecordArrays } from '../../rdd/record-arrays.js'
import type { StageInfo, TaskInfo, TaskLocality, TaskMetrics } from '../../scheduler/task-info.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'
import type { Time } from '../../time.js'
import type { Task } from './executor.js'
import type { ExecutorThread } from './executor-thread.js'
import type { TaskInput } from './messages.js'
import type { StageData } from './stage-data.js'

/** One try at one task. */
export interface Attempt {
  readonly id: number
  readonly set: TaskSet
  /** Its place in the results. */
  readonly index: number
  readonly task: Task
  /** How often the task has failed before. */
  readonly failures: number
  readonly isSpeculative: boolean
  readonly preference: Preference | null
  /** Since when it waits, by the process's own clock. */
  readonly readyAt: number
  launch: Launch | null
}

/** Where and when an attempt began to run. */
export interface Launch {
  readonly thread: ExecutorThread
  readonly locality: TaskLocality
  readonly time: Time
  readonly startedAt: number
  readonly inputs: ReadonlyMap<string, TaskInput>
  /** The bytes among them, held until it has ended. */
  readonly stored: readonly StoredBytes[]
  readonly timer: NodeJS.Timeout | null
}

/** The thread a task would rather run in, and how long, in milliseconds, it should wait for that. */
export interface Preference {
  readonly thread: number
  readonly waitMs: number
}

export interface TaskSetOptions {
  readonly data: StageData
  readonly info: StageInfo
  readonly top: Lineage
  readonly shuffle: PartitionedLineage | null
  readonly tasks: readonly Task[]
  readonly job: JobDescription
  readonly settle: { resolve(results: RecordArrays[]): void; reject(error: Error): void }
  /** Called when the job is cancelled. */
  readonly cancel: () => void
  readonly nextId: () => number
  /** Null for a task that runs equally well anywhere. */
  readonly preference: (partition: number) => Preference | null
  readonly isAlive: (thread: number) => boolean
}

/** When a running task counts as slow. Spark's rules and keys. */
export interface Speculation {
  readonly intervalMs: number
  /** The part of the tasks that must be done. */
  readonly quantile: number
  /** How many medians a slow task takes. */
  readonly multiplier: number
  readonly minTaskMs: number
  /** In a stage of no more tasks than threads, the time after which a task is slow whatever others take; or null. */
  readonly thresholdMs: number | null
}

/** Tasks sent together take about as long at most; a round trip between threads takes a tenth of a millisecond. */
const togetherMs = 1

export class TaskSet {
  readonly options: TaskSetOptions
  readonly results: RecordArrays[]
  isSettled = false
  readonly #waiting: Attempt[] = []
  readonly #running = new Set<Attempt>()
  readonly #failures: number[]
  readonly #isDone: boolean[]
  #done = 0
  /** How long the tasks that are done ran, in milliseconds. */
  readonly #durations: number[] = []
  #totalMs = 0

  constructor(options: TaskSetOptions) {
    this.options = options
    const { tasks } = options
    this.results = new Array(tasks.length)
    this.#failures = new Array(tasks.length).fill(0)
    this.#isDone = new Array(tasks.length).fill(false)
    tasks.forEach((_, index) => {
      this.#enqueue(index, false)
    })
  }

  get running(): number {
    return this.#running.size
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** True when the task has given its result, in whichever copy. */
  isDone(index: number): boolean {
    return this.#isDone[index]!
  }

  /** What its tasks took on average, in milliseconds; null before the first is done. */
  get meanMs(): number | null {
    return this.#done === 0 ? null : this.#totalMs / this.#done
  }

  /**
   * Takes the next attempt that may run now in one of the free threads: in the one it prefers; in any when it prefers none, or
   * has waited for it long enough. Null when all that wait do so for a thread that is busy.
   */
  take(free: readonly ExecutorThread[], now: number): { attempt: Attempt; at: number; locality: TaskLocality } | null {
    for (let i = 0; i < this.#waiting.length; i++) {
      const attempt = this.#waiting[i]!
      const preference = this.#preferenceOf(attempt)
      let at = 0
      let locality: TaskLocality = 'NO_PREF'
      if (preference !== null) {
        const preferred = free.findIndex(({ id }) => id === preference.thread)
        if (preferred < 0 && now - attempt.readyAt < preference.waitMs) continue
        at = Math.max(preferred, 0)
        locality = preferred < 0 ? 'NODE_LOCAL' : 'PROCESS_LOCAL'
      } else {
        // The same partition of the next batch finds the same thread free, as a rule, and what is kept of both stays together.
        at = attempt.task.partition % free.length
      }
      if (attempt.isSpeculative && this.#runsIn(attempt.index, free[at]!)) {
        at = free.findIndex((thread) => !this.#runsIn(attempt.index, thread))
        if (at < 0) continue
      }
      this.#waiting.splice(i, 1)
      return { attempt, at, locality }
    }
    return null
  }

  /** When, by the process's own clock, the first waiting task will have waited long enough for its thread; null if none waits for one. */
  get nextPatienceEnd(): number | null {
    let next: number | null = null
    for (const attempt of this.#waiting) {
      const preference = this.#preferenceOf(attempt)
      if (preference === null) continue
      const end = attempt.readyAt + preference.waitMs
      if (next === null || end < next) next = end
    }
    return next
  }

  /**
   * More attempts for one thread, to be sent together: as many as take no longer than a round trip is worth, if those that are
   * done tell, and no more than the thread's share.
   */
  takeMore(thread: ExecutorThread, threads: number, now: number): { attempt: Attempt; locality: TaskLocality }[] {
    const { meanMs } = this
    const more: { attempt: Attempt; locality: TaskLocality }[] = []
    if (meanMs === null || meanMs > togetherMs) return more
    const count = Math.min(Math.ceil(this.#waiting.length / threads), Math.floor(togetherMs / Math.max(meanMs, 0.01)))
    while (more.length < count) {
      const next = this.take([thread], now)
      if (next === null) break
      more.push(next)
    }
    return more
  }

  launched(attempt: Attempt, launch: Launch): void {
    attempt.launch = launch
    this.#running.add(attempt)
  }

  /** The attempt runs no more. */
  ended(attempt: Attempt): void {
    this.#running.delete(attempt)
  }

  /** Takes a result, and how long it took; false if another copy was faster. */
  succeeded({ index }: Attempt, result: RecordArrays, runMs: number): boolean {
    if (this.#isDone[index]) return false
    this.#isDone[index] = true
    this.results[index] = result
    this.#durations.push(runMs)
    this.#totalMs += runMs
    this.#done++
    for (let i = this.#waiting.length - 1; i >= 0; i--)
      if (this.#waiting[i]!.index === index) this.#waiting.splice(i, 1)
    return true
  }

  get isComplete(): boolean {
    return this.#done === this.options.tasks.length
  }

  /** Notes a failure; gives how often the task has failed by now. */
  failed(attempt: Attempt): number {
    this.#failures[attempt.index]!++
    return this.#failures[attempt.index]!
  }

  /** Lets the task of a failed attempt run again, unless a copy of it is on its way. */
  again({ index }: Attempt): void {
    if (this.#isDone[index] || this.#hasCopy(index)) return
    this.#enqueue(index, false)
  }

  /** No task of this set starts any more. */
  clear(): void {
    this.isSettled = true
    this.#waiting.length = 0
  }

  /** Lets a second copy of each slow task wait for a thread. */
  speculate({ quantile, multiplier, minTaskMs, thresholdMs }: Speculation, threads: number, now: number): void {
    const count = this.options.tasks.length
    const enough = Math.max(Math.floor(quantile * count), 1)
    let slowMs = Number.POSITIVE_INFINITY
    if (count > 1 && this.#done >= enough) {
      const sorted = [...this.#durations].sort((a, b) => a - b)
      slowMs = Math.max(multiplier * sorted[sorted.length >> 1]!, minTaskMs)
    } else if (thresholdMs !== null && count <= threads) slowMs = thresholdMs
    for (const attempt of [...this.#running]) {
      if (attempt.isSpeculative || this.#isDone[attempt.index]) continue
      if (now - attempt.launch!.startedAt <= slowMs) continue
      const copies = [...this.#running].filter(({ index }) => index === attempt.index).length
      if (copies === 1 && !this.#waiting.some(({ index }) => index === attempt.index)) {
        this.#enqueue(attempt.index, true)
      }
    }
  }

  /** The attempt as listeners hear of it. */
  infoOf(
    attempt: Attempt,
    status: TaskInfo['status'],
    end: { readonly time: Time; readonly reason: string | null; readonly metrics: TaskMetrics | null } | null,
  ): TaskInfo {
    const { info } = this.options
    const { thread, locality, time } = attempt.launch!
    return {
      taskId: attempt.id,
      stageId: info.stageId,
      batchTime: info.batchTime,
      outputId: info.outputId,
      partition: attempt.task.partition,
      attempt: attempt.failures,
      speculative: attempt.isSpeculative,
      executor: thread.id,
      locality,
      launchTime: time,
      finishTime: end?.time ?? null,
      status,
      failureReason: end?.reason ?? null,
      metrics: end?.metrics ?? null,
    }
  }

  #enqueue(index: number, isSpeculative: boolean): void {
    const { tasks, nextId, preference } = this.options
    const attempt: Attempt = {
      id: nextId(),
      set: this,
      index,
      task: tasks[index]!,
      failures: this.#failures[index]!,
      isSpeculative,
      preference: isSpeculative ? null : preference(tasks[index]!.partition),
      readyAt: performance.now(),
      launch: null,
    }
    // A task that failed goes first: others may wait for what its job becomes.
    if (attempt.failures > 0) this.#waiting.unshift(attempt)
    else this.#waiting.push(attempt)
  }

  /** A thread that is gone is nobody's preference. */
  #preferenceOf({ preference }: Attempt): Preference | null {
    return preference !== null && this.options.isAlive(preference.thread) ? preference : null
  }

  #hasCopy(index: number): boolean {
    for (const attempt of this.#running) if (attempt.index === index) return true
    return this.#waiting.some((attempt) => attempt.index === index)
  }

  #runsIn(index: number, thread: ExecutorThread): boolean {
    for (const attempt of this.#running) if (attempt.index === index && attempt.launch!.thread === thread) return true
    return false
  }
}
