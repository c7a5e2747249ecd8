/** The attempts that run in threads now: what they read is held, and their time is limited, until they have ended. */
import { MillraceError } from '../../errors.js'
import type { TaskLocality } from '../../scheduler/task-info.js'
import type { BlockManager } from '../../storage/block-manager.js'
import type { SharedPool } from '../../storage/shared-bytes.js'
import type { ExecutorThread } from './executor-thread.js'
import type { MapOutputs } from './map-outputs.js'
import type { TaskData } from './messages.js'
import { driverThread, type SharedMemory } from './shared-memory.js'
import { TaskInputResolver } from './task-inputs.js'
import type { TaskReporter } from './task-reporter.js'
import type { Attempt } from './task-set.js'

export interface RunningTasksOptions {
  readonly blocks: BlockManager
  readonly mapOutputs: MapOutputs
  readonly memory: SharedMemory
  /** The driver's own shared memory. */
  readonly shared: SharedPool
  readonly reporter: TaskReporter
  /** How many threads there are. */
  readonly threads: number
  /** How long a task may run, in milliseconds, or null. */
  readonly taskTimeoutMs: number | null
}

export class RunningTasks {
  readonly #options: RunningTasksOptions
  readonly #resolver: TaskInputResolver
  readonly #attempts = new Map<number, Attempt>()

  constructor(options: RunningTasksOptions) {
    this.#options = options
    this.#resolver = new TaskInputResolver(options.blocks, options.mapOutputs, options.shared)
  }

  /** The task with all it reads, for its thread. Throws what `TaskInputResolver.resolve` throws. */
  launch(attempt: Attempt, thread: ExecutorThread, locality: TaskLocality): TaskData {
    const { set, task, id } = attempt
    const { memory, mapOutputs, reporter, threads, taskTimeoutMs } = this.#options
    const { inputs, stored, written } = this.#resolver.resolve(set.options.top, task.partition)
    // Bytes written for this task go when it has ended, all others when whoever keeps them lets go as well.
    for (const bytes of written) memory.own(bytes, driverThread)
    for (const bytes of stored) memory.hold(bytes)
    for (const bytes of written) memory.free(bytes)
    const timer = taskTimeoutMs === null ? null : setTimeout(() => this.#timedOut(attempt), taskTimeoutMs)
    const [time, startedAt] = [reporter.now(), performance.now()]
    set.launched(attempt, { thread, locality, time, startedAt, inputs, stored, timer })
    this.#attempts.set(id, attempt)
    reporter.taskStarted(() => set.infoOf(attempt, 'RUNNING', null))
    return {
      id,
      stageId: set.options.data.id,
      partition: task.partition,
      memoryBytes: mapOutputs.roomLeft(threads),
      inputs,
    }
  }

  /** The attempts that run in a thread. */
  in(thread: ExecutorThread): Attempt[] {
    return [...this.#attempts.values()].filter(({ launch }) => launch!.thread === thread)
  }

  /** The attempt of that number, which must run in this thread. */
  get(thread: ExecutorThread, taskId: number): Attempt {
    const attempt = this.#attempts.get(taskId)
    if (attempt?.launch?.thread === thread) return attempt
    throw new MillraceError('INTERNAL', `Thread ${thread.id} ended task ${taskId}, which it was not running.`)
  }

  /** The attempt is over, one way or another. */
  finish(thread: ExecutorThread, taskId: number): Attempt {
    const attempt = this.get(thread, taskId)
    this.#attempts.delete(taskId)
    const { timer, stored } = attempt.launch!
    if (timer !== null) clearTimeout(timer)
    for (const bytes of stored) this.#options.memory.drop(bytes)
    attempt.set.ended(attempt)
    return attempt
  }

  #timedOut({ task, launch }: Attempt): void {
    const { partition } = task
    const timeoutMs = this.#options.taskTimeoutMs
    const reason = new MillraceError(
      'TASK_TIMEOUT',
      `The task of partition ${partition} ran longer than ${timeoutMs} ms (spark.task.timeout), so its thread was ended.`,
      { details: { partition, timeoutMs } },
    )
    void launch!.thread.terminate(reason)
  }
}
