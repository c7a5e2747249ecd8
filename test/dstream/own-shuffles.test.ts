/** What shuffles wrote for the RDDs of a stream goes when their batch is done with, and is written again for whoever still asks. */
import type { RDD, StreamingContext } from 'millrace'
import { describe, expect, test, vi } from 'vitest'
import { type TestContext, testContext } from '../support/contexts.js'

const words = (ssc: StreamingContext) =>
  ssc.queueStream([['a', 'b', 'a'], ['b'], ['c', 'c'], ['a']]).map((word): [string, number] => [word, 1])

/** Runs batches one by one; after each, how many shuffles have been forgotten. */
async function forgotten({ ssc, nextBatch }: TestContext, batches: number): Promise<number[]> {
  const forget = vi.spyOn(ssc.sparkContext.runner, 'forgetShuffle')
  await ssc.start()
  const counts: number[] = []
  for (let batch = 0; batch < batches; batch++) {
    await nextBatch()
    counts.push(new Set(forget.mock.calls.map(([{ id }]) => id)).size)
  }
  await ssc.stop()
  return counts
}

describe('the output of shuffles', () => {
  test('goes with the RDD it was written for, batch after batch', async () => {
    const context = testContext()
    words(context.ssc)
      .reduceByKey((a, b) => a + b)
      .mapValues((n) => n * 2)
      .foreachRDD(async (rdd) => void (await rdd.collect()))
    const counts = await forgotten(context, 4)
    expect(counts[3]! - counts[2]!).toBe(1)
    expect(counts[2]! - counts[1]!).toBe(1)
  })

  test('goes at once where the history of state is cut', async () => {
    const context = testContext()
    words(context.ssc)
      .updateStateByKey((ones, sum: number | null | undefined) => (sum ?? 0) + ones.length)
      .foreachRDD(async (rdd) => void (await rdd.collect()))
    expect(await forgotten(context, 3)).toEqual([1, 2, 3])
  })

  test('stays as long as a window asks for it', async () => {
    const context = testContext()
    const seen: number[] = []
    words(context.ssc)
      .reduceByKey((a, b) => a + b)
      .window(3 * context.ssc.batchInterval)
      .foreachRDD(async (rdd) => void seen.push(await rdd.count()))
    const counts = await forgotten(context, 4)
    expect(seen).toEqual([2, 3, 4, 3])
    expect(counts[1]).toBe(0)
    expect(counts[3]).toBeLessThanOrEqual(1)
  })

  test('stays where it is of a table that was there before', async () => {
    const context = testContext()
    const table = context.ssc.sparkContext
      .parallelize([
        ['a', 1],
        ['b', 2],
      ] as [string, number][])
      .reduceByKey((a, b) => a + b)
    const shuffle = table.lineage.id
    const forget = vi.spyOn(context.ssc.sparkContext.runner, 'forgetShuffle')
    const joined: unknown[] = []
    words(context.ssc)
      .transform((rdd) => rdd.join(table))
      .foreachRDD(async (rdd) => void joined.push(await rdd.count()))
    await forgotten(context, 4)
    expect(joined).toEqual([3, 1, 0, 1])
    expect(forget.mock.calls.length).toBeGreaterThan(0)
    expect(forget.mock.calls.map(([{ id }]) => id)).not.toContain(shuffle)
  })

  test('is written again for an RDD that somebody kept', async () => {
    const context = testContext()
    const kept: RDD<unknown>[] = []
    words(context.ssc)
      .reduceByKey((a, b) => a + b)
      .foreachRDD(async (rdd) => {
        await rdd.collect()
        kept.push(rdd)
      })
    const forget = vi.spyOn(context.ssc.sparkContext.runner, 'forgetShuffle')
    await context.ssc.start()
    for (let batch = 0; batch < 4; batch++) await context.nextBatch()
    expect(forget.mock.calls.map(([{ id }]) => id)).toContain(kept[0]!.lineage.id)
    expect((await kept[0]!.collect()).sort()).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    await context.ssc.stop()
  })
})
