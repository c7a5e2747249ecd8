/** The job of `executors-busy.mjs`: messages from MQTT, and tasks that compute for five seconds when told to. */
import { defineJob, MqttStringReceiver } from '../../dist/index.js'

const conf = { 'spark.streaming.concurrentJobs': 2 }

export default defineJob({ name: 'busy', batchInterval: '100ms', conf }, (ssc) => {
  ssc
    .receiverStream(new MqttStringReceiver(process.env.BENCHMARK_BROKER, 'paced', { keepalive: 2 }))
    .foreachRDD(async (rdd) => {
      globalThis.millraceMessages += await rdd.count()
    })
  globalThis.millraceBusy = ssc.sparkContext.parallelize([0, 1, 2, 3], 4).map((part) => {
    for (const end = performance.now() + 5000; performance.now() < end; );
    return part
  })
})
