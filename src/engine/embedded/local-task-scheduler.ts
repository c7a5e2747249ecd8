/** The task scheduler of master `local`: one executor in the caller's thread, its tasks one after another. */
import type { Lineage } from '../../rdd/lineage.js'
import { partitionBlockId } from '../../storage/block-manager.js'
import type { TaskScheduler } from './dag-scheduler.js'
import type { Executor, Task } from './executor.js'

export class LocalTaskScheduler implements TaskScheduler {
  readonly #executor: Executor

  constructor(executor: Executor) {
    this.#executor = executor
  }

  async runStage(tasks: readonly Task[]): Promise<unknown[][]> {
    const results: unknown[][] = []
    for (const task of tasks) results.push(await this.#executor.run(task))
    return results
  }

  hasCached(lineage: Lineage): boolean {
    return this.#executor.hasCached(lineage)
  }

  forgetShuffle(shuffleId: number): void {
    this.#executor.forgetShuffle(shuffleId)
  }

  forgetCached(rddId: number): void {
    this.#executor.blocks.removeAll(partitionBlockId(rddId, 0).slice(0, -1))
  }
}
