/**
 * The task scheduler of `local[N]`: gives tasks to free threads, tries failed ones again, and runs in the driver what only the
 * driver can run. Jobs that run at once share the threads: the stage with the fewest running tasks is served first.
 */
import { unlink } from 'node:fs/promises'
import { MillraceError } from '../../errors.js'
import type { JobDescription } from '../../rdd/job-runner.js'
import type { Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import type { BlockManager } from '../../storage/block-manager.js'
import { recordsOf } from '../../storage/record-frames.js'
import type { SharedPool } from '../../storage/shared-bytes.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'
import type { TaskScheduler } from './dag-scheduler.js'
import { type Executor, type Task, taskError } from './executor.js'
import type { ExecutorThread } from './executor-thread.js'
import type { MapOutputs } from './map-outputs.js'
import type { FromThread } from './messages.js'
import type { SharedMemory } from './shared-memory.js'
import { type StageData, stageToData, stageTravels } from './stage-data.js'
import { TaskInputResolver } from './task-inputs.js'
import type { ThreadPool } from './thread-pool.js'

export interface ThreadTaskSchedulerOptions {
  readonly pool: ThreadPool
  /** Runs what cannot travel, in this thread. */
  readonly driver: Executor
  readonly blocks: BlockManager
  readonly mapOutputs: MapOutputs
  readonly memory: SharedMemory
  /** The driver's own shared memory. */
  readonly shared: SharedPool
  /** How often a task may fail before its job does. */
  readonly maxFailures: number
  /** How many threads there are. */
  readonly threads: number
  /** How long a task may run, in milliseconds, or null. */
  readonly taskTimeoutMs: number | null
}

/** The tasks of one stage. */
interface TaskSet {
  readonly data: StageData
  readonly top: Lineage
  readonly shuffle: PartitionedLineage | null
  readonly tasks: readonly Task[]
  readonly job: JobDescription
  readonly waiting: Attempt[]
  running: number
  unfinished: number
  readonly results: unknown[][]
  readonly settle: { resolve(results: unknown[][]): void; reject(error: Error): void }
  isSettled: boolean
}

interface Attempt {
  readonly id: number
  readonly set: TaskSet
  /** Its place in the results. */
  readonly index: number
  readonly task: Task
  readonly failures: number
  inputs: readonly StoredBytes[]
  timer: NodeJS.Timeout | null
}

export class ThreadTaskScheduler implements TaskScheduler {
  readonly #options: ThreadTaskSchedulerOptions
  readonly #resolver: TaskInputResolver
  readonly #free: ExecutorThread[] = []
  readonly #sets: TaskSet[] = []
  readonly #running = new Map<number, { attempt: Attempt; thread: ExecutorThread }>()
  /** Operators whose functions no thread finds: their stages run in the driver. */
  readonly #driverOnly = new Set<string>()
  #nextStage = 0
  #nextTask = 0
  #failure: Error | null = null
  #started: Promise<void> | null = null

  constructor(options: ThreadTaskSchedulerOptions) {
    this.#options = options
    this.#resolver = new TaskInputResolver(options.blocks, options.mapOutputs, options.shared)
  }

  /** Starts the threads; resolves when the first can take tasks. Rejects when none can run this job. */
  start(): Promise<void> {
    this.#started ??= new Promise((resolve, reject) => {
      this.#options.pool.start({
        threadReady: (thread) => {
          resolve()
          this.#free.push(thread)
          this.#dispatch()
        },
        taskDone: (thread, done) => this.#done(thread, done),
        taskFailed: (thread, taskId, error) => this.#failed(thread, taskId, error),
        threadLost: (thread, error) => this.#lost(thread, error),
        failed: (error) => {
          this.#failure = error
          reject(error)
          for (const set of this.#sets.slice()) this.#reject(set, error)
        },
      })
    })
    return this.#started
  }

  runStage(tasks: readonly Task[], job: JobDescription): Promise<unknown[][]> {
    const first = tasks[0]
    if (first === undefined) return Promise.resolve([])
    const shuffle = first.type === 'shuffleMap' ? first.shuffle : null
    const top = first.type === 'shuffleMap' ? first.shuffle.parent : first.lineage
    const directory = first.type === 'save' ? first.directory : null
    if (!stageTravels(top, shuffle)) return this.#runInDriver(tasks, job)
    if (this.#failure !== null) return Promise.reject(this.#failure)
    // Its failure is every stage's.
    this.start().catch(() => {})
    return new Promise((resolve, reject) => {
      const set: TaskSet = {
        data: stageToData({ id: this.#nextStage++, top, shuffle, directory }),
        top,
        shuffle,
        tasks,
        job,
        waiting: [],
        running: 0,
        unfinished: tasks.length,
        results: new Array(tasks.length),
        settle: { resolve, reject },
        isSettled: false,
      }
      tasks.forEach((task, index) => {
        set.waiting.push(this.#attempt(set, index, task, 0))
      })
      this.#sets.push(set)
      const { signal } = job
      signal?.addEventListener('abort', () => this.#reject(set, signal.reason))
      this.#dispatch()
    })
  }

  hasCached(lineage: Lineage): boolean {
    return this.#options.driver.hasCached(lineage)
  }

  pin(rddId: number): void {
    this.#options.blocks.pin(rddId)
  }

  forgetShuffle(shuffleId: number): void {
    this.#options.mapOutputs.forget(shuffleId)
  }

  forgetCached(rddId: number): void {
    this.#options.blocks.removeRdd(rddId)
  }

  async #runInDriver(tasks: readonly Task[], { signal }: JobDescription): Promise<unknown[][]> {
    const results: unknown[][] = []
    for (const task of tasks) {
      signal?.throwIfAborted()
      results.push(await this.#options.driver.run(task))
    }
    return results
  }

  #attempt(set: TaskSet, index: number, task: Task, failures: number): Attempt {
    return { id: this.#nextTask++, set, index, task, failures, inputs: [], timer: null }
  }

  /** Gives waiting tasks to free threads. */
  #dispatch(): void {
    while (this.#free.length > 0) {
      const set = this.#nextSet()
      if (set === null) return
      const attempt = set.waiting.shift()!
      const thread = this.#free.shift()!
      try {
        this.#send(attempt, thread)
      } catch (error) {
        this.#free.unshift(thread)
        this.#reject(set, taskError(error, attempt.task.partition))
      }
    }
  }

  #nextSet(): TaskSet | null {
    let next: TaskSet | null = null
    for (const set of this.#sets) {
      if (set.waiting.length > 0 && (next === null || set.running < next.running)) next = set
    }
    return next
  }

  #send(attempt: Attempt, thread: ExecutorThread): void {
    const { set, task } = attempt
    const { memory, taskTimeoutMs } = this.#options
    const { inputs, stored, written } = this.#resolver.resolve(set.top, task.partition)
    attempt.inputs = stored
    for (const bytes of written) memory.own(bytes, driverThread)
    for (const bytes of stored) memory.hold(bytes)
    for (const bytes of written) memory.free(bytes)
    set.running++
    this.#running.set(attempt.id, { attempt, thread })
    if (taskTimeoutMs !== null) {
      attempt.timer = setTimeout(() => {
        const reason = new MillraceError(
          'TASK_TIMEOUT',
          `The task of partition ${task.partition} ran longer than ${taskTimeoutMs} ms, so its thread was ended.`,
          { details: { partition: task.partition, timeoutMs: taskTimeoutMs } },
        )
        void thread.terminate(reason)
      }, taskTimeoutMs)
    }
    const memoryBytes = this.#options.mapOutputs.roomLeft(this.#options.threads)
    thread.run(set.data, { id: attempt.id, stageId: set.data.id, partition: task.partition, memoryBytes, inputs })
  }

  #done(thread: ExecutorThread, { taskId, output, kept }: Extract<FromThread, { type: 'taskDone' }>): void {
    const attempt = this.#finish(thread, taskId)
    const { blocks, mapOutputs, memory } = this.#options
    for (const { rddId, partition, stored, level } of kept) {
      memory.own(stored, thread.id)
      blocks.keep(rddId, partition, { type: 'stored', format: 'records', stored }, level)
    }
    if (output.type === 'shuffle') for (const { stored } of output.parts) memory.own(stored, thread.id)
    if (attempt !== null) {
      const { set, index, task } = attempt
      if (output.type === 'result') set.results[index] = recordsOf(output.bytes)
      else {
        mapOutputs.keep(set.shuffle!.id, task.partition, { type: 'parts', parts: output.parts })
        set.results[index] = []
      }
      this.#complete(set)
    }
    this.#free.push(thread)
    this.#dispatch()
  }

  #failed(thread: ExecutorThread, taskId: number, error: Error): void {
    const attempt = this.#finish(thread, taskId)
    if (attempt !== null) this.#retry(attempt, error)
    this.#free.push(thread)
    this.#dispatch()
  }

  #lost(thread: ExecutorThread, error: MillraceError): void {
    const free = this.#free.indexOf(thread)
    if (free >= 0) this.#free.splice(free, 1)
    for (const [taskId, running] of this.#running) {
      if (running.thread !== thread) continue
      const attempt = this.#finish(thread, taskId)
      if (attempt !== null) this.#retry(attempt, error)
    }
    this.#dispatch()
  }

  /** The attempt is over, one way or another; null when nobody waits for it any more. */
  #finish(thread: ExecutorThread, taskId: number): Attempt | null {
    const running = this.#running.get(taskId)
    if (running === undefined || running.thread !== thread) return null
    this.#running.delete(taskId)
    const { attempt } = running
    if (attempt.timer !== null) clearTimeout(attempt.timer)
    for (const stored of attempt.inputs) this.#options.memory.drop(stored)
    attempt.set.running--
    return attempt.set.isSettled ? null : attempt
  }

  #retry(attempt: Attempt, error: Error): void {
    const { set, index, task, failures } = attempt
    if (MillraceError.is(error, 'FUNCTION_NOT_FOUND')) {
      this.#fallBack(set, error)
      return
    }
    if (failures + 1 >= this.#options.maxFailures || MillraceError.is(error, 'NOT_SERIALIZABLE')) {
      this.#reject(set, taskError(error, task.partition))
      return
    }
    set.waiting.unshift(this.#attempt(set, index, task, failures + 1))
  }

  /** Runs a whole stage in the driver after all, whose own functions are at hand. */
  #fallBack(set: TaskSet, error: MillraceError): void {
    const operator = String(error.details.function ?? '').replace(/\/\d+$/, '')
    if (!this.#driverOnly.has(operator)) {
      this.#driverOnly.add(operator)
      process.emitWarning(
        `Operator ${operator} runs in the driver's thread: ${error.message} Functions of an operator must be the same, in the same order, each time it is asked.`,
        'MillraceWarning',
      )
    }
    const { resolve, reject } = set.settle
    this.#forget(set)
    this.#runInDriver(set.tasks, set.job).then(resolve, reject)
  }

  #complete(set: TaskSet): void {
    if (--set.unfinished > 0) return
    this.#forget(set)
    set.settle.resolve(set.results)
  }

  #reject(set: TaskSet, error: Error): void {
    if (set.isSettled) return
    this.#forget(set)
    set.settle.reject(error)
  }

  #forget(set: TaskSet): void {
    set.isSettled = true
    set.waiting.length = 0
    this.#sets.splice(this.#sets.indexOf(set), 1)
    for (const thread of this.#options.pool.threads) thread.forgetStage(set.data.id)
  }
}

/** The driver among the threads that allocate memory. */
export const driverThread = 0

/** Lets go of bytes nobody asks for again. */
export function discard(memory: SharedMemory, stored: StoredBytes): void {
  if (stored.type === 'shared') memory.free(stored)
  else void unlink(stored.path).catch(() => {})
}
