/** The job of `millrace demo`, in a module of its own so that executor threads can load it; the environment says what it reads. */
import { defineJob, type Job } from '../job.js'
import { MqttStringReceiver } from '../mqtt/mqtt-string-receiver.js'

let lines = 0

/** Lines read out of messages so far, in this thread. */
export function linesRead(): number {
  return lines
}

class CountingReceiver extends MqttStringReceiver {
  override processMqttMessages(payload: Buffer): string[] {
    const read = [...super.processMqttMessages(payload)]
    lines += read.length
    return read
  }
}

const variable = (name: string): string => process.env[`MILLRACE_DEMO_${name}`] ?? ''

const job: Job = defineJob({ name: 'word-count', batchInterval: variable('INTERVAL') }, (ssc) => {
  ssc
    .receiverStream(new CountingReceiver(variable('BROKER'), variable('TOPIC')))
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .print()
})

export default job
