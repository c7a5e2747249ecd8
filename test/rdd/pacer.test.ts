/** Operations that take all records of a partition before they give any still let the event loop turn. */
import { type Pair, type RDD, StreamingContext } from 'millrace'
import { expect, test } from 'vitest'

const sc = new StreamingContext({ appName: 'pacer', batchInterval: '1s' }).sparkContext

/** Pairs of one partition, by key already, that take more than a slice of the pacer for every 300; notes how often the loop had turned. */
function slowPairs(turnsSeen: number[], turns: () => number): RDD<Pair<number, number>> {
  function* slowly(records: Iterable<Pair<number, number>>): Generator<Pair<number, number>> {
    let n = 0
    for (const record of records) {
      if (n++ % 300 === 0) {
        const until = performance.now() + 9
        while (performance.now() < until);
        turnsSeen.push(turns())
      }
      yield record
    }
  }
  return sc
    .range(1500)
    .map((i) => [i, i])
    .partitionBy(1)
    .mapPartitions(slowly, true)
}

test.each<[string, (pairs: RDD<Pair<number, number>>) => RDD<unknown>]>([
  ['cogroup and the joins', (pairs) => pairs.join(pairs)],
  ['reduceByKey of pairs that lie by key', (pairs) => pairs.reduceByKey((a, b) => a + b)],
])('%s', async (_, operation) => {
  let turns = 0
  let isDone = false
  const turn = (): void => {
    turns++
    if (!isDone) setImmediate(turn)
  }
  const seen: number[] = []
  const result = operation(slowPairs(seen, () => turns))
  setImmediate(turn)
  expect(await result.count()).toBe(1500)
  isDone = true
  // Records are pulled some hundreds at a time, so neighbours may share a turn.
  expect(new Set(seen).size).toBeGreaterThan(2)
})
