/** The mean temperature of each sensor, each second, from messages in JSON: an MqttReceiver of one's own. */
import { defineJob, MqttReceiver } from 'millrace'

interface Reading {
  readonly sensor: string
  readonly celsius: number
}

class ReadingReceiver extends MqttReceiver<Reading> {
  override processMqttMessages(payload: Uint8Array): Reading[] {
    return [JSON.parse(Buffer.from(payload).toString()) as Reading]
  }
}

const broker = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'

export default defineJob({ name: 'json-mean', batchInterval: '1s' }, (ssc) => {
  const readings = ssc.receiverStream(new ReadingReceiver(broker, 'plant/+/temperature'))
  readings
    .map((reading) => [reading.sensor, { sum: reading.celsius, count: 1 }])
    .reduceByKey((a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }))
    .mapValues(({ sum, count }) => sum / count)
    .print()
})
