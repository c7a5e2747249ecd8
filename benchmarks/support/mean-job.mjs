/** A mean per sensor of JSON readings from MQTT: the job of `executors-mqtt.mjs`. */
import { defineJob, MqttJsonReceiver } from '../../dist/index.js'

export default defineJob({ name: 'mean', batchInterval: '1s', conf: { 'spark.ui.enabled': false } }, (ssc) => {
  ssc
    .receiverStream(new MqttJsonReceiver(process.env.BENCHMARK_BROKER, 'plant/#'))
    .map((reading) => [reading.id, reading.v])
    .combineByKey(
      (value) => ({ sum: value, count: 1 }),
      (mean, value) => {
        mean.sum += value
        mean.count++
        return mean
      },
      (a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }),
    )
    .foreachRDD(async (rdd) => {
      const means = await rdd.collect()
      globalThis.millraceBatches.push({
        at: performance.now(),
        cpu: process.cpuUsage(),
        messages: means.reduce((n, [, { count }]) => n + count, 0),
      })
    })
})
