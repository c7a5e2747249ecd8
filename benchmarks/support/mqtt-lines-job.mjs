/** The pipeline of `spark-mqtt.mjs`, the same as that of `MqttLines.java`: counts words, and tells which lines came and how old they were. */
import { defineJob, MqttStringReceiver } from '../../dist/index.js'

const { MQTT_URL, BATCH_MS, CLIENT_ID } = process.env

export default defineJob({ name: 'mqtt lines', batchInterval: `${BATCH_MS} ms` }, (ssc) => {
  const lines = ssc.receiverStream(new MqttStringReceiver(MQTT_URL, 'bench/#', { clientId: CLIENT_ID }))
  let words = 0
  lines
    .flatMap((line) => line.split(' ').slice(2, 10))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .foreachRDD(async (rdd) => {
      words = (await rdd.collect()).length
    })
  lines
    .map((line) => {
      const [number, publishedAt] = line.split(' ', 2)
      return [Math.floor(Number(number) / 1000), [1, Number(publishedAt)]]
    })
    .reduceByKey((a, b) => [a[0] + b[0], a[1] + b[1]])
    .foreachRDD(async (rdd, time) => {
      const thousands = (await rdd.collect()).map(([at, [count, sum]]) => [at, count, Math.floor(sum / count)])
      console.log(JSON.stringify({ time, words, thousands }))
    })
})
