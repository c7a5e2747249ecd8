/** Streams and files mixed: readings get the names that a table on disk has for their sensors; others are left out. */
import { defineJob, MqttJsonReceiver } from 'millrace'

const broker = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'
const table = process.env.SENSORS ?? 'sensors.csv'

export default defineJob({ name: 'known-sensors', batchInterval: '1s' }, (ssc) => {
  const names = ssc.sparkContext
    .textFile(table)
    .map((line) => line.split(','))
    .map(([id = '', name = '']) => [id, name])
    .cache()
  ssc
    .receiverStream(new MqttJsonReceiver<{ id: string; value: number }>(broker, 'plant/+/reading'))
    .map(({ id, value }) => [id, value])
    .transform((readings) => readings.join(names).values())
    .print()
})
