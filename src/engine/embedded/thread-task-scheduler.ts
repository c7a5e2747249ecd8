/**
 * The task scheduler of `local[N]`: gives tasks to free threads, near to what they read where that matters, tries failed ones
 * again, and runs in the driver what only the driver can run.
 */
import { errorFromData, MillraceError } from '../../errors.js'
import type { AccumulatorUpdate } from '../../rdd/accumulator.js'
import type { JobDescription } from '../../rdd/job-runner.js'
import type { Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import type { RecordArrays } from '../../rdd/record-arrays.js'
import type { TaskLocality } from '../../scheduler/task-info.js'
import { readFrames } from '../../storage/record-frames.js'
import { deserializeRecords } from '../../storage/record-serializer.js'
import { warnOfDriver } from '../driver-functions.js'
import { taskError } from '../task-error.js'
import type { TaskScheduler } from './dag-scheduler.js'
import type { Executor, Task } from './executor.js'
import type { ExecutorThread } from './executor-thread.js'
import type { LocalTaskScheduler } from './local-task-scheduler.js'
import type { KeptPartition, TaskData, TaskDone, TaskOutcome } from './messages.js'
import { RunningTasks, type RunningTasksOptions } from './running-tasks.js'
import { discard } from './shared-memory.js'
import { stageToData, stageTravels } from './stage-data.js'
import { StageQueue } from './stage-queue.js'
import { type Attempt, type Speculation, TaskSet } from './task-set.js'
import type { ThreadPool } from './thread-pool.js'
import type { ValueHolders } from './value-holders.js'

export interface ThreadTaskSchedulerOptions extends RunningTasksOptions {
  readonly pool: ThreadPool
  /** Runs what cannot travel, in this thread. */
  readonly driver: LocalTaskScheduler
  readonly executor: Executor
  readonly holders: ValueHolders
  /** Takes what the tasks that succeeded added to accumulators. */
  readonly accumulated: (updates: readonly AccumulatorUpdate[]) => void
  /** How often a task may fail before its job does. */
  readonly maxFailures: number
  readonly mode: 'FAIR' | 'FIFO'
  /** Null for no second copies of slow tasks. */
  readonly speculation: Speculation | null
}

export class ThreadTaskScheduler implements TaskScheduler {
  readonly #options: ThreadTaskSchedulerOptions
  /** By number, so that what is dealt out by number goes to the same threads again. */
  readonly #free: ExecutorThread[] = []
  readonly #queue: StageQueue
  readonly #running: RunningTasks
  /** Operators whose functions no thread finds: their stages run in the driver. */
  readonly #driverOnly = new Set<string>()
  #failure: Error | null = null
  #started: Promise<void> | null = null
  #wake: NodeJS.Timeout | null = null
  #speculating: NodeJS.Timeout | null = null

  constructor(options: ThreadTaskSchedulerOptions) {
    this.#options = options
    this.#queue = new StageQueue(options)
    this.#running = new RunningTasks(options)
  }

  /** Starts the threads; resolves when the first can take tasks. Rejects when none can run this job. */
  start(): Promise<void> {
    this.#started ??= new Promise((resolve, reject) => {
      const { pool, speculation, threads } = this.#options
      pool.start({
        threadReady: (thread) => {
          resolve()
          this.#release(thread)
        },
        ended: (thread, outcomes, isFree) => this.#ended(thread, outcomes, isFree),
        threadLost: (thread, error) => this.#lost(thread, error),
        failed: (error) => {
          this.#failure = error
          reject(error)
          for (const set of this.#queue.sets.slice()) this.#reject(set, error)
        },
      })
      if (speculation !== null) {
        this.#speculating = setInterval(() => {
          for (const set of this.#queue.sets) set.speculate(speculation, threads, performance.now())
          this.#dispatch()
        }, speculation.intervalMs)
        this.#speculating.unref()
      }
    })
    return this.#started
  }

  async close(): Promise<void> {
    clearInterval(this.#speculating ?? undefined)
    clearTimeout(this.#wake ?? undefined)
    await this.#options.pool.close()
  }

  runStage(tasks: readonly Task[], job: JobDescription): Promise<RecordArrays[]> {
    const first = tasks[0]
    if (first === undefined) return Promise.resolve([])
    const shuffle = first.type === 'shuffleMap' ? first.shuffle : null
    const top = first.type === 'shuffleMap' ? first.shuffle.parent : first.lineage
    const directory = first.type === 'save' ? first.directory : null
    const { driver, reporter, pool, holders } = this.#options
    if (!stageTravels(top, shuffle)) {
      warnOfDriver(job)
      return driver.runStage(tasks, job)
    }
    if (this.#failure !== null) return Promise.reject(this.#failure)
    // Its failure is every stage's.
    this.start().catch(() => {})
    return new Promise((resolve, reject) => {
      const info = reporter.stageSubmitted(job, shuffle !== null, tasks.length)
      const cancel = (): void => this.#reject(set, job.signal?.reason)
      const set: TaskSet = new TaskSet({
        data: stageToData({ id: info.stageId, top, shuffle, directory }),
        info,
        top,
        shuffle,
        tasks,
        job,
        settle: { resolve, reject },
        cancel,
        nextId: () => reporter.nextTask(),
        preference: (partition) => holders.preference(top, partition),
        isAlive: (thread) => pool.get(thread) !== undefined,
      })
      this.#queue.add(set)
      job.signal?.addEventListener('abort', cancel)
      this.#dispatch()
    })
  }

  hasCached(lineage: Lineage): boolean {
    return this.#options.executor.hasCached(lineage)
  }

  missingOutputs(shuffle: PartitionedLineage): number[] {
    return this.#options.mapOutputs.missing(shuffle)
  }

  lost(path: string): void {
    this.#options.executor.lost(path)
  }

  pin(rddId: number): void {
    this.#options.blocks.pin(rddId)
  }

  forgetShuffle(shuffleId: number): void {
    this.#options.mapOutputs.forget(shuffleId)
  }

  forgetCached(rddId: number): void {
    this.#options.blocks.removeRdd(rddId)
    if (this.#options.holders.forgetRdd(rddId)) {
      for (const thread of this.#options.pool.threads) thread.forgetRdd(rddId)
    }
  }

  /** Gives waiting tasks to free threads. */
  #dispatch(): void {
    while (this.#free.length > 0) {
      const now = performance.now()
      const placement = this.#queue.next(this.#free, now)
      if (placement === null) break
      const thread = this.#free.splice(placement.at, 1)[0]!
      const { set } = placement.attempt
      this.#send(set, thread, [placement, ...set.takeMore(thread, this.#options.threads, now)])
    }
    this.#wakeWhenPatienceEnds()
  }

  /** Looks again when a task has waited for its thread for as long as it should. */
  #wakeWhenPatienceEnds(): void {
    clearTimeout(this.#wake ?? undefined)
    this.#wake = null
    const end = this.#free.length === 0 ? null : this.#queue.nextPatienceEnd
    if (end !== null) this.#wake = setTimeout(() => this.#dispatch(), Math.max(1, end - performance.now()))
  }

  #release(thread: ExecutorThread): void {
    if (thread.isEnding) return
    let at = this.#free.length
    while (at > 0 && this.#free[at - 1]!.id > thread.id) at--
    this.#free.splice(at, 0, thread)
    this.#dispatch()
  }

  #send(set: TaskSet, thread: ExecutorThread, placed: readonly { attempt: Attempt; locality: TaskLocality }[]): void {
    const tasks: TaskData[] = []
    for (const { attempt, locality } of placed) {
      try {
        tasks.push(this.#running.launch(attempt, thread, locality))
      } catch (error) {
        // What has been launched of it before runs on; nobody asks for it.
        this.#reject(set, taskError(error, attempt.task.partition))
        break
      }
    }
    if (tasks.length > 0) thread.run(set.options.data, tasks)
    else this.#release(thread)
  }

  #ended(thread: ExecutorThread, outcomes: readonly TaskOutcome[], isFree: boolean): void {
    for (const outcome of outcomes) {
      if (outcome.type === 'done') this.#done(thread, outcome)
      else this.#retry(this.#running.finish(thread, outcome.taskId), errorFromData(outcome.error))
    }
    if (isFree) this.#release(thread)
    else this.#dispatch()
  }

  #done(thread: ExecutorThread, done: TaskDone): void {
    const { output, kept, metrics, accumulated } = done
    const { mapOutputs, memory, reporter } = this.#options
    for (const partition of kept) this.#keep(thread, this.#running.get(thread, done.taskId), partition)
    const attempt = this.#running.finish(thread, done.taskId)
    if (output.type === 'shuffle') for (const { stored } of output.parts) memory.own(stored, thread.id)
    const { set, task } = attempt
    const result = output.type === 'result' ? [...readFrames(output.bytes)] : []
    const isFirst = !set.isSettled && set.succeeded(attempt, result, metrics.runMs)
    reporter.taskEnded(() =>
      set.infoOf(attempt, isFirst ? 'SUCCESS' : 'KILLED', { time: reporter.now(), reason: null, metrics }),
    )
    if (isFirst) {
      if (output.type === 'shuffle') {
        mapOutputs.keep(set.options.shuffle!.id, task.partition, { type: 'parts', parts: output.parts })
      }
      if (accumulated !== null) this.#options.accumulated(deserializeRecords(accumulated) as AccumulatorUpdate[])
      if (set.isComplete) this.#complete(set)
    } else if (output.type === 'shuffle') for (const { stored } of output.parts) discard(memory, stored)
  }

  /** Keeps a partition as its level says; what it lies on stays as long as it does. */
  #keep(thread: ExecutorThread, { launch }: Attempt, kept: KeptPartition): void {
    const { rddId, partition, stored, level, isHeld } = kept
    const { blocks, memory, holders } = this.#options
    memory.own(stored, thread.id)
    const under = kept.beneath === null ? null : launch!.inputs.get(kept.beneath.key)
    const beneath = under?.type === 'records' ? under.parts.slice(0, kept.beneath!.parts) : []
    for (const part of beneath) memory.hold(part)
    blocks.keep(rddId, partition, { type: 'stored', format: 'records', stored, beneath }, level)
    const bytes = beneath.reduce((sum, { length }) => sum + length, stored.length)
    if (isHeld) holders.add(rddId, partition, thread.id, bytes)
  }

  #lost(thread: ExecutorThread, error: MillraceError): void {
    const free = this.#free.indexOf(thread)
    if (free >= 0) this.#free.splice(free, 1)
    this.#options.holders.forgetThread(thread.id)
    for (const attempt of this.#running.in(thread)) this.#retry(this.#running.finish(thread, attempt.id), error)
    this.#dispatch()
  }

  #retry(attempt: Attempt, error: Error): void {
    const { set, index, task } = attempt
    const { reporter, maxFailures } = this.#options
    const status = set.isSettled || set.isDone(index) ? 'KILLED' : 'FAILED'
    reporter.taskEnded(() =>
      set.infoOf(attempt, status, { time: reporter.now(), reason: error.message, metrics: null }),
    )
    if (status === 'KILLED') return
    if (MillraceError.is(error, 'FUNCTION_NOT_FOUND')) {
      this.#fallBack(set, error)
      return
    }
    const failures = set.failed(attempt)
    // What is gone does not come back by trying again: the stage that made it has to.
    const isLost = MillraceError.is(error, 'BLOCK_NOT_FOUND')
    if (isLost || failures >= maxFailures || MillraceError.is(error, 'NOT_SERIALIZABLE')) {
      this.#reject(set, taskError(error, task.partition))
    } else set.again(attempt)
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
    const { tasks, job, settle } = set.options
    this.#forget(set, error)
    this.#options.driver.runStage(tasks, job).then(settle.resolve, settle.reject)
  }

  #complete(set: TaskSet): void {
    this.#forget(set, null)
    set.options.settle.resolve(set.results)
  }

  #reject(set: TaskSet, error: Error): void {
    if (set.isSettled) return
    this.#forget(set, error)
    set.options.settle.reject(error)
  }

  #forget(set: TaskSet, error: Error | null): void {
    const { job, cancel } = set.options
    job.signal?.removeEventListener('abort', cancel)
    set.clear()
    this.#queue.remove(set)
    for (const thread of this.#options.pool.threads) thread.forgetStage(set.options.data.id)
    this.#options.reporter.stageCompleted(set.options.info, error)
  }
}
