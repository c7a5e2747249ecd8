/**
 * A job that gets ten times what it can do, from Mosquitto at QoS 1: memory and scheduling delay as time goes on, with back pressure and without. The job waits
 * 2 ms for each message of 2 kB, so what it can do is the same on every machine: 500 a second of the 5,000 that are published.
 * Its memory for waiting input is bounded to 16 MB. Both jobs run at once, each with a broker of its own.
 *
 *   node benchmarks/overload.mjs [seconds=40]
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startMosquitto } from './support/mosquitto.mjs'
import { residentMb } from './support/processes.mjs'

const self = fileURLToPath(import.meta.url)
const CAPACITY = 500
const MEMORY = 16_000_000
/** Lines in a message of the publisher. */
const LINES = 20

if (process.argv[2] === '--job') await job(process.argv[3], process.argv[4] === 'true')
else await main(Number(process.argv[2] ?? 40))

async function job(url, isLimited) {
  const { MqttMessageReceiver, StreamingContext } = await import('millrace')
  const conf = {
    'spark.streaming.backpressure.enabled': isLimited,
    'spark.streaming.backpressure.initialRate': 2 * CAPACITY,
    'millrace.receiver.memory': MEMORY,
  }
  const ssc = new StreamingContext({ appName: 'overload', batchInterval: 500, conf })
  const messages = new MqttMessageReceiver(url, 'lines', { clientId: 'overload' })
  ssc.receiverStream(messages).foreachRDD(async (rdd) => {
    const count = await rdd.count()
    await new Promise((resolve) => setTimeout(resolve, (count * 1000) / CAPACITY))
  })
  ssc.addStreamingListener({
    onBatchCompleted: ({ schedulingDelay, numRecords }) => process.send({ schedulingDelay, numRecords }),
  })
  await ssc.start()
  process.send('started')
  await ssc.awaitTermination()
}

async function main(seconds) {
  const names = ['back pressure', 'the memory bound alone']
  const runs = await Promise.all([watched(true, seconds), watched(false, seconds)])
  console.log(`| second | ${names.map((name) => `${name}: delay s | resident MB | messages done`).join(' | ')} |`)
  console.log(`|---|${'---|'.repeat(6)}`)
  for (let i = 0; i < runs[0].length; i++) {
    const cells = runs.map((run) => `${run[i].delay.toFixed(1)} | ${run[i].mb.toFixed(0)} | ${run[i].done}`)
    console.log(`| ${runs[0][i].second} | ${cells.join(' | ')} |`)
  }
}

/** One job with its broker and publisher: what it looks like every five seconds. */
async function watched(isLimited, seconds) {
  const broker = await startMosquitto()
  const child = fork(self, ['--job', `mqtt://127.0.0.1:${broker.port}`, String(isLimited)])
  const publisher = spawn(
    process.execPath,
    [fileURLToPath(new URL('support/line-publisher.mjs', import.meta.url)), String(broker.port), 'lines'],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  )
  try {
    await once(child, 'message')
    let delay = 0
    let done = 0
    child.on('message', ({ schedulingDelay, numRecords }) => {
      delay = schedulingDelay / 1000
      done += numRecords
    })
    publisher.stdin.write(`${10 * CAPACITY * LINES}\n`)
    const seen = []
    for (let second = 5; second <= seconds; second += 5) {
      await new Promise((resolve) => setTimeout(resolve, 5000))
      seen.push({ second, delay, done, mb: residentMb(child.pid) })
    }
    return seen
  } finally {
    publisher.kill()
    child.kill('SIGKILL')
    broker.stop()
  }
}
