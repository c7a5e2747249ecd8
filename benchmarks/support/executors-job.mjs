/** The graph of `executors.mjs`: one side of it is used through the RDDs a `transform` makes, which is what reaches the threads. */
import { defineJob, Receiver, StorageLevel } from '../../dist/index.js'

class SilentReceiver extends Receiver {
  onStart() {}
  onStop() {}
}

const operations = {
  /** One task that does nothing. */
  empty: (ssc) => ssc.sparkContext.parallelize([0], 1),
  /** 16 tasks that do nothing. */
  tasks: (ssc) => ssc.sparkContext.parallelize(Array(16).fill(0), 16),
  cpu: (ssc) =>
    ssc.sparkContext
      .parallelize(
        Array.from({ length: 64 }, (_, i) => i),
        16,
      )
      .map((seed) => {
        let x = seed + 1
        for (let i = 0; i < 4_000_000; i++) x = (Math.imul(x, 1103515245) + 12345) | 0
        return x
      }),
  shuffle: (ssc) =>
    ssc.sparkContext
      .parallelize(
        Array.from({ length: 8 }, (_, i) => i),
        8,
      )
      .flatMap((part) => {
        const pairs = new Array(1_250_000)
        for (let i = 0; i < pairs.length; i++) pairs[i] = [Math.imul(i, 2654435761) >>> 12, part]
        return pairs
      })
      .partitionBy(8)
      .mapPartitions((pairs) => {
        let n = 0
        for (const _ of pairs) n++
        return [n]
      }),
}

export default defineJob({ name: 'executors', batchInterval: '1ms' }, (ssc) => {
  const { shuffle, ...others } = operations
  const rdds = Object.fromEntries(Object.entries(others).map(([name, make]) => [name, make(ssc)]))
  // The map side of a shuffle runs once: every round needs a shuffle of its own.
  rdds.shuffles = Array.from({ length: 4 }, () => shuffle(ssc))
  globalThis.millraceBenchmark = { ssc, rdds }
  ssc
    .receiverStream(new SilentReceiver(StorageLevel.MEMORY_ONLY))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .foreachRDD(async (rdd) => {
      await rdd.collect()
    })
})
