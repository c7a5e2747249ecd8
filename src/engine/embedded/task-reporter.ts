/** Tells listeners of stages, tasks and threads; puts nothing together that nobody wants to hear. */
import type { JobDescription } from '../../rdd/job-runner.js'
import type { ListenerBus } from '../../scheduler/streaming-listener.js'
import type { ExecutorInfo, StageInfo, TaskInfo } from '../../scheduler/task-info.js'
import type { Time } from '../../time.js'

export class TaskReporter {
  readonly #bus: ListenerBus
  readonly #now: () => Time
  #nextStage = 0
  #nextTask = 0

  constructor(bus: ListenerBus, now: () => Time) {
    this.#bus = bus
    this.#now = now
  }

  /** The number for the next attempt of a task. */
  nextTask(): number {
    return this.#nextTask++
  }

  now(): Time {
    return this.#now()
  }

  /** Numbers a new stage and reports it. */
  stageSubmitted({ name, batchTime, outputId }: JobDescription, isShuffleMap: boolean, numTasks: number): StageInfo {
    const stage: StageInfo = {
      stageId: this.#nextStage++,
      name,
      batchTime,
      outputId,
      isShuffleMap,
      numTasks,
      submissionTime: this.#now(),
      completionTime: null,
      failureReason: null,
    }
    if (this.#bus.wants('onStageSubmitted')) this.#bus.post('onStageSubmitted', stage)
    return stage
  }

  stageCompleted(stage: StageInfo, error: Error | null): void {
    if (!this.#bus.wants('onStageCompleted')) return
    this.#bus.post('onStageCompleted', {
      ...stage,
      completionTime: this.#now(),
      failureReason: error?.message ?? null,
    })
  }

  /** `info` is asked only when somebody wants it. */
  taskStarted(info: () => TaskInfo): void {
    if (this.#bus.wants('onTaskStart')) this.#bus.post('onTaskStart', info())
  }

  taskEnded(info: () => TaskInfo): void {
    if (this.#bus.wants('onTaskEnd')) this.#bus.post('onTaskEnd', info())
  }

  executorAdded(executor: number, kind: ExecutorInfo['kind']): void {
    this.#bus.post('onExecutorAdded', { executor, kind, time: this.#now(), reason: null })
  }

  executorRemoved(executor: number, kind: ExecutorInfo['kind'], reason: Error): void {
    this.#bus.post('onExecutorRemoved', { executor, kind, time: this.#now(), reason: reason.message })
  }
}
