/** Actions that can be cancelled: those of RDD under Spark's names with `Async`. */
import { FutureAction } from './future-action.js'
import { PairRddOperations } from './pair-rdd-operations.js'
import type { RDD } from './rdd.js'

export abstract class AsyncActions extends PairRddOperations {
  /** As `count`, to be cancelled with `cancel()`. */
  countAsync<T>(this: RDD<T>): FutureAction<number> {
    return new FutureAction(this.context.jobs, () => this.count())
  }

  /** As `collect`, to be cancelled with `cancel()`. */
  collectAsync<T>(this: RDD<T>): FutureAction<T[]> {
    return new FutureAction(this.context.jobs, () => this.collect())
  }

  /** As `take`, to be cancelled with `cancel()`. */
  takeAsync<T>(this: RDD<T>, n: number): FutureAction<T[]> {
    return new FutureAction(this.context.jobs, () => this.take(n))
  }

  /** As `foreach`, to be cancelled with `cancel()`. */
  foreachAsync<T>(this: RDD<T>, f: (record: T) => void | Promise<void>): FutureAction<void> {
    return new FutureAction(this.context.jobs, () => this.foreach(f))
  }

  /** As `foreachPartition`, to be cancelled with `cancel()`. */
  foreachPartitionAsync<T>(
    this: RDD<T>,
    f: (records: IterableIterator<T>, partition: number) => void | Promise<void>,
  ): FutureAction<void> {
    return new FutureAction(this.context.jobs, () => this.foreachPartition(f))
  }
}
