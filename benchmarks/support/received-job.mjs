/** The job of `spark-receiver.mjs`: takes messages in and does nothing with them. */
import { defineJob, MqttMessageReceiver } from '../../dist/index.js'

export default defineJob({ name: 'received', batchInterval: '1s' }, (ssc) => {
  ssc.receiverStream(new MqttMessageReceiver(process.env.MQTT_URL, 'plant/#')).foreachRDD(() => {})
})
