/**
 * How well a receiver keeps to a rate, from the first message on: a sender that always has more, and a limit that is set by
 * `spark.streaming.receiver.maxRate`, or by the PID estimator from batch to batch for a job that takes 30 microseconds a record. What was received in
 * ten seconds, against what the limit allowed at each moment of them.
 *
 *   npm run build && node benchmarks/mqtt-rate.mjs [records per second=20000] [seconds=10]
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MqttMessageReceiver, StreamingContext } from '../dist/index.js'

const rate = Number(process.argv[2] ?? 20_000)
const seconds = Number(process.argv[3] ?? 10)
const sender = fileURLToPath(new URL('support/counted-sender.mjs', import.meta.url))

class Watched extends MqttMessageReceiver {
  /** Records per second it may take now. */
  get rate() {
    return this.ratePerSecond
  }
}

const cases = {
  maxRate: { conf: { 'spark.streaming.receiver.maxRate': rate }, usPerRecord: 0 },
  'PID estimator': {
    conf: { 'spark.streaming.backpressure.enabled': true, 'spark.streaming.backpressure.initialRate': rate },
    usPerRecord: 30,
  },
}
for (const [name, one] of Object.entries(cases)) {
  const { received, allowed, rates } = await measure(one)
  const off = ((received - allowed) / allowed) * 100
  console.log(
    `${name.padEnd(14)} ${received} records in ${seconds} s, ${Math.round(allowed)} allowed: ${off.toFixed(2)} % off; the limit each second: ${rates.join(', ')}`,
  )
}
process.exit()

async function measure({ conf, usPerRecord }) {
  const options = { messages: 1e9, payloadBytes: 64, topics: 1000, qos: 1 }
  const child = fork(sender, [JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const port = await new Promise((resolve) => child.stdout.once('data', (chunk) => resolve(Number(chunk))))
  const ssc = new StreamingContext({ appName: 'rate', batchInterval: 500, conf })
  const receiver = new Watched(`mqtt://127.0.0.1:${port}`, '#')
  const worked = (record) => {
    for (const end = performance.now() + usPerRecord / 1000; performance.now() < end; );
    return record.payload.length
  }
  ssc
    .receiverStream(receiver)
    .map(worked)
    .foreachRDD((rdd) => rdd.count())
  await ssc.start()
  while ((receiver.status?.messages ?? 0) === 0) await new Promise(setImmediate)
  const begin = performance.now()
  const rates = []
  let allowed = 0
  for (let last = begin; last < begin + seconds * 1000; ) {
    const { rate } = receiver
    await new Promise((resolve) => setTimeout(resolve, 5))
    const now = performance.now()
    allowed += (rate * (now - last)) / 1000
    last = now
    if (now - begin >= (rates.length + 1) * 1000) rates.push(Math.round(rate))
  }
  const received = receiver.status.messages
  child.disconnect()
  await ssc.stop({ graceful: false })
  return { received, allowed, rates }
}
