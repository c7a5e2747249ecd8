/** The task scheduler of master `local`: one executor in the caller's thread, its tasks one after another. */
import { toError } from '../../errors.js'
import type { JobDescription } from '../../rdd/job-runner.js'
import type { Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import type { RecordArrays } from '../../rdd/record-arrays.js'
import type { StageInfo, TaskInfo } from '../../scheduler/task-info.js'
import type { TaskScheduler } from './dag-scheduler.js'
import type { Executor, Task } from './executor.js'
import type { TaskReporter } from './task-reporter.js'

export class LocalTaskScheduler implements TaskScheduler {
  readonly #executor: Executor
  readonly #reporter: TaskReporter

  constructor(executor: Executor, reporter: TaskReporter) {
    this.#executor = executor
    this.#reporter = reporter
  }

  async runStage(tasks: readonly Task[], job: JobDescription): Promise<RecordArrays[]> {
    const stage = this.#reporter.stageSubmitted(job, tasks[0]?.type === 'shuffleMap', tasks.length)
    const results: RecordArrays[] = []
    try {
      for (const task of tasks) {
        job.signal?.throwIfAborted()
        results.push(await this.#run(stage, task))
      }
    } catch (error) {
      this.#reporter.stageCompleted(stage, toError(error))
      throw error
    }
    this.#reporter.stageCompleted(stage, null)
    return results
  }

  hasCached(lineage: Lineage): boolean {
    return this.#executor.hasCached(lineage)
  }

  missingOutputs(shuffle: PartitionedLineage): number[] {
    return this.#executor.missingOutputs(shuffle)
  }

  pin(rddId: number): void {
    this.#executor.blocks.pin(rddId)
  }

  lost(path: string): void {
    this.#executor.lost(path)
  }

  forgetShuffle(shuffleId: number): void {
    this.#executor.forgetShuffle(shuffleId)
  }

  forgetCached(rddId: number): void {
    this.#executor.blocks.removeRdd(rddId)
  }

  async #run(stage: StageInfo, task: Task): Promise<RecordArrays> {
    const reporter = this.#reporter
    const taskId = reporter.nextTask()
    const launchTime = reporter.now()
    const info = (end: Pick<TaskInfo, 'status' | 'failureReason' | 'metrics'>): TaskInfo => ({
      taskId,
      stageId: stage.stageId,
      batchTime: stage.batchTime,
      outputId: stage.outputId,
      partition: task.partition,
      attempt: 0,
      speculative: false,
      executor: this.#executor.id,
      locality: 'PROCESS_LOCAL',
      launchTime,
      finishTime: end.status === 'RUNNING' ? null : reporter.now(),
      ...end,
    })
    reporter.taskStarted(() => info({ status: 'RUNNING', failureReason: null, metrics: null }))
    try {
      const { records, metrics } = await this.#executor.run(task)
      reporter.taskEnded(() => info({ status: 'SUCCESS', failureReason: null, metrics }))
      return records
    } catch (error) {
      reporter.taskEnded(() => info({ status: 'FAILED', failureReason: toError(error).message, metrics: null }))
      throw error
    }
  }
}
