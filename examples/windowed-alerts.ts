/** Every second, the machines that reported three warnings or more within the last ten. */
import { defineJob, MqttStringReceiver } from 'millrace'

const broker = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'

export default defineJob({ name: 'windowed-alerts', batchInterval: '1s' }, (ssc) => {
  const lines = ssc.receiverStream(new MqttStringReceiver(broker, 'plant/+/log'))
  lines
    .map((line) => line.split(' '))
    .filter(([level]) => level === 'WARN')
    .map(([, machine = 'unknown']) => [machine, 1])
    .window('10s', '1s')
    .reduceByKey((a, b) => a + b)
    .filter(([, warnings]) => warnings >= 3)
    .map(([machine, warnings]) => `${machine} warned ${warnings} times`)
    .print()
})
