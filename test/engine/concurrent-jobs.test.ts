/** Jobs of several batches at once: outputs overtake each other, state does not. */
import { type State, StateSpec } from 'millrace'
import { expect, test } from 'vitest'
import { manualContext } from '../support/streams.js'

/** A promise and the call that resolves it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

const batches = [['a', 'b'], ['a'], ['b', 'a'], ['c']]

test('a batch does not wait for the one before, and state is updated once a record, batch after batch', async () => {
  const { ssc, clock } = manualContext(1000, 0, { 'spark.streaming.concurrentJobs': 4 })
  const words = ssc.queueStream(batches)
  const calls: string[] = []
  const count = (word: string, one: number | null, state: State<number>): [string, number] => {
    const next = (state.getOption() ?? 0) + (one ?? 0)
    state.update(next)
    calls.push(`${word} ${next}`)
    return [word, next]
  }
  const counted = words.map((word) => [word, 1]).mapWithState(StateSpec.function(count).numPartitions(1))
  const mapped: unknown[][] = []
  const snapshots: unknown[][] = []
  const secondHasBegun = gate()
  const begun: number[] = []
  words.foreachRDD(async (rdd, time) => {
    await rdd.collect()
    begun.push(time)
    // The first batch ends only after the second has begun: one at a time, neither ever would.
    if (time === 1000) await secondHasBegun.opened
    else secondHasBegun.open()
  })
  counted.foreachRDD(async (rdd) => {
    mapped.push(await rdd.collect())
  })
  counted.stateSnapshots().foreachRDD(async (rdd) => {
    snapshots.push((await rdd.collect()).sort())
  })
  await ssc.start()
  clock.advance(1000 * batches.length)
  await ssc.batchesFinished()
  expect(begun).toContain(2000)
  expect(calls).toEqual(['a 1', 'b 1', 'a 2', 'b 2', 'a 3', 'c 1'])
  expect(mapped).toEqual([
    [
      ['a', 1],
      ['b', 1],
    ],
    [['a', 2]],
    [
      ['b', 2],
      ['a', 3],
    ],
    [['c', 1]],
  ])
  expect(snapshots.at(-1)).toEqual([
    ['a', 3],
    ['b', 2],
    ['c', 1],
  ])
})
