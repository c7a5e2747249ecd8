/** Jobs that are called off, grouped and described; answers in time: what the driver does, so in this thread. */
import { MillraceError, StreamingContext } from 'millrace'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { normalQuantile, studentQuantile } from '../../dist/rdd/partial-result.js'

const ssc = new StreamingContext({ appName: 'jobs', batchInterval: '1s' })
const sc = ssc.sparkContext

/** An RDD whose partitions from `from` on are never done, and a way to see which began. */
function stuck(from: number, partitions = 4) {
  const begun: number[] = []
  const rdd = sc.range(0, partitions * 10, 1, partitions).mapPartitionsWithIndex(async (partition, records) => {
    begun.push(partition)
    if (partition >= from) await new Promise(() => {})
    return records
  })
  return { rdd, begun }
}

const isCancelled = (error: unknown): boolean => MillraceError.is(error, 'JOB_CANCELLED')

describe('asynchronous actions', () => {
  test('give what the plain ones give', async () => {
    const rdd = sc.parallelize([1, 2, 3, 4], 3)
    expect(await rdd.countAsync()).toBe(4)
    expect(await rdd.collectAsync()).toEqual([1, 2, 3, 4])
    expect(await rdd.takeAsync(2)).toEqual([1, 2])
    const seen: number[] = []
    await rdd.foreachAsync((n) => {
      seen.push(n)
    })
    await rdd.foreachPartitionAsync((records) => {
      seen.push(...records)
    })
    expect(seen).toEqual([1, 2, 3, 4, 1, 2, 3, 4])
    const done = rdd.countAsync()
    expect(done.isCompleted).toBe(false)
    expect(await Promise.all([done, sc.submitJob(rdd, (records) => [...records].length)])).toEqual([4, [1, 1, 2]])
    expect([done.isCompleted, done.isCancelled]).toEqual([true, false])
    done.cancel()
    expect(done.isCancelled).toBe(false)
  })

  test('when cancelled reject at once, and begin no more tasks', async () => {
    const { rdd, begun } = stuck(1)
    const counting = rdd.countAsync()
    await expect.poll(() => begun).toEqual([0, 1])
    counting.cancel()
    await expect(counting).rejects.toSatisfy(isCancelled)
    expect([counting.isCancelled, counting.isCompleted]).toEqual([true, true])
    expect(begun).toEqual([0, 1])
  })

  test('that fail reject with the error of the task', async () => {
    const failing = sc.parallelize([1]).map((): number => {
      throw new Error('no')
    })
    await expect(failing.collectAsync()).rejects.toThrow(/no/)
    expect(await failing.collectAsync().catch(() => 'caught')).toBe('caught')
  })
})

describe('job groups', () => {
  test('one group is cancelled, other jobs go on; then all are', async () => {
    sc.setJobGroup('a', 'first')
    const a = stuck(0).rdd.count()
    sc.setJobGroup('b')
    const b = stuck(0).rdd.count()
    sc.clearJobGroup()
    const none = stuck(0).rdd.count()
    const outcomes: string[] = []
    for (const [name, job] of Object.entries({ a, b, none })) job.catch(() => outcomes.push(name))
    sc.cancelJobGroup('a')
    await expect(a).rejects.toThrow(/group a/)
    expect(outcomes).toEqual(['a'])
    sc.cancelAllJobs()
    await Promise.allSettled([b, none])
    expect(outcomes.sort()).toEqual(['a', 'b', 'none'])
  })

  test('a job that shares a shuffle with a cancelled one computes it itself', async () => {
    let block = true
    const held: (() => void)[] = []
    const shuffled = sc
      .range(0, 20, 1, 2)
      .mapPartitions(async (records) => {
        if (block) await new Promise<void>((resolve) => held.push(resolve))
        return records
      })
      .map((n): [number, number] => [n % 3, 1])
      .reduceByKey((x, y) => x + y)
    const first = shuffled.countAsync()
    await expect.poll(() => held.length).toBe(1)
    const second = shuffled.collect()
    block = false
    first.cancel()
    held[0]!()
    await expect(first).rejects.toSatisfy(isCancelled)
    expect((await second).sort()).toEqual([
      [0, 7],
      [1, 7],
      [2, 6],
    ])
  })
})

describe('local properties', () => {
  test('hold until they are taken back, and where an output runs are its own', async () => {
    sc.setLocalProperty('who', 'me')
    expect(sc.getLocalProperty('who')).toBe('me')
    sc.setLocalProperty('who', null)
    expect(sc.getLocalProperty('who')).toBeNull()
  })
})

describe('answers in time', () => {
  test('are exact when there is time enough', async () => {
    const rdd = sc.range(0, 1000, 1, 7)
    const exact = { mean: 1000, confidence: 1, low: 1000, high: 1000 }
    const count = await rdd.countApprox('60s')
    expect([count.initialValue, count.isInitialValueFinal, await count.getFinalValue()]).toEqual([exact, true, exact])
    expect((await rdd.sumApprox('60s')).initialValue.mean).toBe(499_500)
    expect((await rdd.meanApprox('60s')).initialValue.mean).toBe(499.5)
    const words = sc.parallelize(['a', 'b', 'a'], 2)
    const two = { mean: 2, confidence: 1, low: 2, high: 2 }
    expect((await words.countByValueApprox('60s')).initialValue.get('a')).toEqual(two)
    const pairs = words.map((word) => [word, 1])
    expect((await pairs.countByKeyApprox('60s')).initialValue.get('a')).toEqual(two)
    expect((await sc.emptyRDD<number>().countApprox(0)).initialValue.mean).toBe(0)
  })

  test('are estimates from the partitions that are done, and exact later', async () => {
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const rdd = sc.range(0, 1000, 1, 10).mapPartitionsWithIndex(async (partition, records) => {
      if (partition >= 5) await gate
      return records
    })
    const [count, sum, mean] = await Promise.all([rdd.countApprox(500), rdd.sumApprox(500), rdd.meanApprox(500)])
    expect(count.isInitialValueFinal).toBe(false)
    const { mean: about, confidence, low, high } = count.initialValue
    expect([about, confidence]).toEqual([1000, 0.95])
    // Half of the partitions held 500: the rest is negative binomial with that mean and variance 1000.
    expect([low, high]).toEqual([938, 1062])
    expect(sum.initialValue.mean).toBe(2 * 124_750)
    expect(sum.initialValue.low).toBeLessThan(249_500)
    expect(mean.initialValue.mean).toBe(249.5)
    release()
    expect((await count.getFinalValue()).mean).toBe(1000)
    expect((await sum.getFinalValue()).mean).toBe(499_500)
    expect((await mean.getFinalValue()).mean).toBe(499.5)
  })

  test('know nothing when no partition is done', async () => {
    const { rdd } = stuck(0)
    const count = await rdd.countApprox(1)
    expect(count.initialValue).toEqual({ mean: 0, confidence: 0, low: 0, high: Number.POSITIVE_INFINITY })
    sc.cancelAllJobs()
    await expect(count.getFinalValue()).rejects.toSatisfy(isCancelled)
  })

  test('rest on the right quantiles', () => {
    // From tables of the two distributions.
    expect(normalQuantile(0.975)).toBeCloseTo(1.959964, 6)
    expect(normalQuantile(0.005)).toBeCloseTo(-2.575829, 6)
    for (const [degrees, expected] of [
      [1, 12.706],
      [2, 4.303],
      [5, 2.571],
      [30, 2.042],
    ] as const)
      expect(studentQuantile(0.975, degrees)).toBeCloseTo(expected, 2)
  })
})

describe('what an RDD says of itself', () => {
  test('its context, and what it depends on', () => {
    const rdd = sc.parallelize([1, 2], 2)
    const mapped = rdd.map((n) => [n, n])
    expect(mapped.sparkContext).toBe(sc)
    expect(mapped.dependencies).toEqual([{ type: 'narrow', rddId: rdd.id }])
    expect(mapped.groupByKey().dependencies).toEqual([{ type: 'shuffle', rddId: mapped.id }])
    expect(rdd.dependencies).toEqual([])
    expect(rdd.preferredLocations(0)).toEqual([])
  })
})

describe('a stopped SparkContext', () => {
  let last: StreamingContext
  beforeAll(() => {
    last = new StreamingContext({ appName: 'last', batchInterval: '1s' })
  })
  afterAll(() => ssc.stop())

  test('runs no more jobs, and says so', async () => {
    const rdd = last.sparkContext.parallelize([1])
    expect(await rdd.count()).toBe(1)
    await last.sparkContext.stop()
    expect([last.sparkContext.isStopped, last.getState()]).toEqual([true, 'STOPPED'])
    await expect(rdd.count()).rejects.toSatisfy((error) => MillraceError.is(error, 'CONTEXT_STOPPED'))
  })
})
