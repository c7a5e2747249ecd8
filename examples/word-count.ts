/** Counts the words of MQTT messages, batch by batch. */
import { defineJob, MqttStringReceiver } from 'millrace'

const broker = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'

export default defineJob({ name: 'word-count', batchInterval: '1s' }, (ssc) => {
  const lines = ssc.receiverStream(new MqttStringReceiver(broker, 'rupesh/gpiotopic'))
  lines
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .print()
})
