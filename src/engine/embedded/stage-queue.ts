/**
 * In what order stages that run at once get threads. FAIR: the stage with the fewest running tasks first, so that a small one
 * is not held up by a large one. FIFO: the one that came first, as long as it has tasks waiting. Spark's `spark.scheduler.mode`.
 */
import type { TaskLocality } from '../../scheduler/task-info.js'
import type { ExecutorThread } from './executor-thread.js'
import type { Attempt, TaskSet } from './task-set.js'

/** Tasks that take no longer than this keep no batch waiting to speak of. */
const shortTaskMs = 50
/** A stream whose last batch is longer ago than this can wait for a thread. */
const streamingMs = 10_000

export interface StageQueueOptions {
  readonly mode: 'FAIR' | 'FIFO'
  readonly threads: number
}

export interface Placement {
  readonly attempt: Attempt
  /** Its place among the free threads. */
  readonly at: number
  readonly locality: TaskLocality
}

export class StageQueue {
  readonly #options: StageQueueOptions
  readonly #sets: TaskSet[] = []
  /** When the last stage of a batch came, by the process's own clock. */
  #lastBatchAt = Number.NEGATIVE_INFINITY

  constructor(options: StageQueueOptions) {
    this.#options = options
  }

  add(set: TaskSet): void {
    this.#sets.push(set)
    if (set.options.info.batchTime !== null) this.#lastBatchAt = performance.now()
  }

  remove(set: TaskSet): void {
    const at = this.#sets.indexOf(set)
    if (at >= 0) this.#sets.splice(at, 1)
  }

  /** The stages that are not done. */
  get sets(): readonly TaskSet[] {
    return this.#sets
  }

  /** The next task to run in one of the free threads, or null when none may. */
  next(free: readonly ExecutorThread[], now: number): Placement | null {
    if (this.#sets.length === 1) return this.#from(this.#sets[0]!, free, now)
    const waiting = this.#sets.filter((set) => set.hasWaiting)
    if (this.#options.mode === 'FAIR') waiting.sort((a, b) => a.running - b.running)
    for (const set of waiting) {
      const placement = this.#from(set, free, now)
      if (placement !== null) return placement
    }
    return null
  }

  /** When the first task that waits for its thread will have waited long enough, or null. */
  get nextPatienceEnd(): number | null {
    let next: number | null = null
    for (const set of this.#sets) {
      const end = set.nextPatienceEnd
      if (end !== null && (next === null || end < next)) next = end
    }
    return next
  }

  #from(set: TaskSet, free: readonly ExecutorThread[], now: number): Placement | null {
    return set.hasWaiting && !this.#mustLeaveRoom(set, now) ? set.take(free, now) : null
  }

  /**
   * A task cannot be interrupted. So while batches come, a job outside of them whose tasks are long, or not known to be short,
   * leaves one thread to the stream: otherwise a batch would wait for as long as the shortest of them takes.
   */
  #mustLeaveRoom(set: TaskSet, now: number): boolean {
    const { mode, threads } = this.#options
    if (mode === 'FIFO' || threads === 1 || set.options.info.batchTime !== null) return false
    if (now - this.#lastBatchAt > streamingMs) return false
    if (set.meanMs !== null && set.meanMs <= shortTaskMs) return false
    let outside = 0
    for (const { options, running } of this.#sets) if (options.info.batchTime === null) outside += running
    return outside >= threads - 1
  }
}
