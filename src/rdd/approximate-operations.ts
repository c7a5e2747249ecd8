/** Actions that answer in time: exactly if all partitions are done by then, else with an estimate from those that are. */
import { type Duration, toMilliseconds, waitAtMost } from '../time.js'
import { countRecords } from './count-records.js'
import { KeyedMap } from './keys.js'
import { NumericOperations } from './numeric-operations.js'
import type { Item, Pair } from './pair.js'
import {
  type BoundedNumber,
  estimatedCount,
  estimatedMean,
  estimatedSum,
  type PartialResult,
} from './partial-result.js'
import type { RDD } from './rdd.js'
import { emptySums, mergeSums, type StatSums } from './stat-counter.js'

export abstract class ApproximateOperations extends NumericOperations {
  /**
   * How many records there are, as far as is known after `timeout`.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'about', batchInterval: '1s' })
   * const { initialValue } = await sparkContext.range(0, 1000, 1, 10).countApprox('1m')
   * initialValue // { mean: 1000, confidence: 1, low: 1000, high: 1000 }
   * ```
   */
  countApprox<T>(this: RDD<T>, timeout: Duration, confidence = 0.95): Promise<PartialResult<BoundedNumber>> {
    const counts = this.derive<number>(countRecords(this.lineage))
    const evaluate = (parts: readonly (readonly number[])[], share: number): BoundedNumber =>
      estimatedCount(
        parts.flat().reduce((a, b) => a + b, 0),
        share,
        confidence,
      )
    return inTime({ rdd: counts, action: 'countApprox', timeout, evaluate })
  }

  /** How often each record occurs, as far as is known after `timeout`; see `countApprox`. */
  countByValueApprox<T>(
    this: RDD<T>,
    timeout: Duration,
    confidence = 0.95,
  ): Promise<PartialResult<Map<T, BoundedNumber>>> {
    const evaluate = (parts: readonly (readonly Pair<T, number>[])[], share: number): Map<T, BoundedNumber> => {
      const seen = new KeyedMap<number>()
      for (const [value, count] of parts.flat()) seen.set(value, (seen.get(value) ?? 0) + count)
      return new Map(Array.from(seen, ([value, count]) => [value as T, estimatedCount(count, share, confidence)]))
    }
    return inTime({ rdd: this.valueCounts(), action: 'countByValueApprox', timeout, evaluate })
  }

  /** How many pairs each key has, as far as is known after `timeout`; see `countApprox`. */
  countByKeyApprox<K extends Item>(
    this: RDD<Pair<K, unknown>>,
    timeout: Duration,
    confidence = 0.95,
  ): Promise<PartialResult<Map<K, BoundedNumber>>> {
    return this.keys().countByValueApprox(timeout, confidence)
  }

  /** The sum, as far as is known after `timeout`; see `countApprox`. */
  sumApprox(this: RDD<number>, timeout: Duration, confidence = 0.95): Promise<PartialResult<BoundedNumber>> {
    return statsInTime(this, 'sumApprox', timeout, (sums, share) => estimatedSum(sums, share, confidence))
  }

  /** The mean, as far as is known after `timeout`; see `countApprox`. */
  meanApprox(this: RDD<number>, timeout: Duration, confidence = 0.95): Promise<PartialResult<BoundedNumber>> {
    return statsInTime(this, 'meanApprox', timeout, (sums, share) => estimatedMean(sums, share, confidence))
  }
}

function statsInTime(
  rdd: RDD<number>,
  action: string,
  timeout: Duration,
  estimate: (sums: StatSums, share: number) => BoundedNumber,
): Promise<PartialResult<BoundedNumber>> {
  const evaluate = (parts: readonly (readonly StatSums[])[], share: number): BoundedNumber =>
    estimate(parts.flat().reduce(mergeSums, emptySums()), share)
  return inTime({ rdd: rdd.partitionSums(), action, timeout, evaluate })
}

interface Question<P, R> {
  /** What each partition answers. */
  readonly rdd: RDD<P>
  readonly action: string
  readonly timeout: Duration
  /** The result from the answers of a share of the partitions. */
  readonly evaluate: (parts: readonly (readonly P[])[], share: number) => R
}

/** Computes partition by partition, as many at once as there is room for, and evaluates what there is when the time is up. */
async function inTime<P, R>({ rdd, action, timeout, evaluate }: Question<P, R>): Promise<PartialResult<R>> {
  const waitMs = toMilliseconds(timeout)
  const { numPartitions } = rdd
  const parts: P[][] = []
  const evaluated = (): R => evaluate(parts, numPartitions === 0 ? 1 : parts.length / numPartitions)
  let next = 0
  const work = async (): Promise<void> => {
    while (next < numPartitions) parts.push(...(await rdd.run(action, [next++])))
  }
  const all = Promise.all(Array.from({ length: rdd.context.runner.defaultParallelism }, work))
  await waitAtMost(waitMs, all)
  // Whoever is content with the estimate does not look at what becomes of the rest.
  all.catch(() => {})
  return {
    initialValue: evaluated(),
    isInitialValueFinal: parts.length === numPartitions,
    getFinalValue: async () => {
      await all
      return evaluated()
    },
  }
}
