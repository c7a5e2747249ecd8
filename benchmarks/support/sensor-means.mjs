/** What the MQTT benchmarks compute: a mean per sensor of JSON readings, `{ id, v }` each, through the public DStream API. */
import { MqttJsonReceiver } from '../../dist/index.js'

/** Describes it on `ssc`; `onBatch` gets, for each batch, when it was done, the CPU time until then, and how many messages there were. */
export function sensorMeans(ssc, brokerUrl, onBatch, options = {}) {
  ssc
    .receiverStream(new MqttJsonReceiver(brokerUrl, 'plant/#', options))
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
      onBatch({
        at: performance.now(),
        cpu: process.cpuUsage(),
        messages: means.reduce((n, [, { count }]) => n + count, 0),
      })
    })
}
