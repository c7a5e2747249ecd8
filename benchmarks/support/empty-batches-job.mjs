/** The job of `spark-batch.mjs`: batches that hold nothing, with one Spark job of one task each, or with none. */
import { defineJob } from '../../dist/index.js'

export default defineJob({ name: 'empty batches', batchInterval: `${process.env.BATCH_MS} ms` }, (ssc) => {
  const empty = ssc.generatedStream('empty', () => ssc.sparkContext.parallelize([], 1))
  if (process.env.MODE === 'none') empty.foreachRDD(() => {})
  else
    empty
      .map((line) => line)
      .foreachRDD(async (rdd) => {
        await rdd.collect()
      })
})
