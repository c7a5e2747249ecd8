/** The task scheduler of master `local`: one executor in the caller's thread, its tasks one after another. */
import type { JobDescription } from '../../rdd/job-runner.js'
import type { Lineage } from '../../rdd/lineage.js'
import type { TaskScheduler } from './dag-scheduler.js'
import type { Executor, Task } from './executor.js'

export class LocalTaskScheduler implements TaskScheduler {
  readonly #executor: Executor

  constructor(executor: Executor) {
    this.#executor = executor
  }

  async runStage(tasks: readonly Task[], { signal }: JobDescription): Promise<unknown[][]> {
    const results: unknown[][] = []
    for (const task of tasks) {
      signal?.throwIfAborted()
      results.push(await this.#executor.run(task))
    }
    return results
  }

  hasCached(lineage: Lineage): boolean {
    return this.#executor.hasCached(lineage)
  }

  pin(rddId: number): void {
    this.#executor.blocks.pin(rddId)
  }

  forgetShuffle(shuffleId: number): void {
    this.#executor.forgetShuffle(shuffleId)
  }

  forgetCached(rddId: number): void {
    this.#executor.blocks.removeRdd(rddId)
  }
}
