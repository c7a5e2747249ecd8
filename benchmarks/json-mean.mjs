// The mean per sensor of JSON readings, each second, through the public DStream API on `local`, against MQTT.js that only
// counts messages. 64-byte payloads at QoS 1 from 1,000 topics, from a sender of pre-encoded frames: no broker in between.
//
//   node benchmarks/json-mean.mjs [rounds=3] [seconds=6]
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)
const subscribers = {
  async millrace(url, seconds) {
    const { StreamingContext } = await import('../dist/index.js')
    const { sensorMeans } = await import('./support/sensor-means.mjs')
    const ssc = new StreamingContext({ appName: 'json-mean', batchInterval: '1s' })
    const batches = []
    sensorMeans(ssc, url, (batch) => batches.push(batch))
    await ssc.start()
    // The first two batches warm the code up.
    while (batches.length < seconds + 2) await new Promise((resolve) => setTimeout(resolve, 50))
    void ssc.stop()
    const measured = batches.slice(1, seconds + 2)
    return rate(
      measured[0],
      measured.at(-1),
      measured.slice(1).reduce((n, { messages }) => n + messages, 0),
    )
  },
  async 'mqtt.js'(url, seconds) {
    const mqtt = await import('mqtt')
    let messages = 0
    const client = mqtt.connect(url, { protocolVersion: 5, properties: { receiveMaximum: 65_535 } })
    client.on('message', () => {
      messages++
    })
    client.on('connect', () => client.subscribe('plant/#', { qos: 1 }))
    while (messages === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const start = { at: performance.now(), cpu: process.cpuUsage() }
    const before = messages
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const measured = rate(start, { at: performance.now(), cpu: process.cpuUsage() }, messages - before)
    client.end(true)
    return measured
  },
}

function rate(from, to, messages) {
  const cpuUs = to.cpu.user + to.cpu.system - from.cpu.user - from.cpu.system
  return {
    perSecond: (messages * 1000) / (to.at - from.at),
    cpuUs: cpuUs / messages,
    rssMb: process.memoryUsage().rss / 1e6,
  }
}

if (process.send !== undefined && process.argv[2] === 'subscriber') {
  const [, , , name, url, seconds] = process.argv
  process.send(await subscribers[name](url, Number(seconds)))
  process.exit()
}

const rounds = Number(process.argv[2] ?? 3)
const seconds = Number(process.argv[3] ?? 6)
const sender = spawn(
  process.execPath,
  [fileURLToPath(new URL('support/frame-sender.mjs', import.meta.url)), '64', '1000', '1'],
  {
    stdio: ['pipe', 'pipe', 'inherit'],
  },
)
const [port] = await once(sender.stdout, 'data')
const results = { millrace: [], 'mqtt.js': [] }
for (let round = 0; round < rounds; round++) {
  for (const name of Object.keys(results)) {
    const child = fork(self, ['subscriber', name, `mqtt://127.0.0.1:${String(port).trim()}`, String(seconds)])
    const [result] = await once(child, 'message')
    results[name].push(result)
    await once(child, 'exit')
  }
}
sender.kill()
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const ours = results.millrace
const theirs = results['mqtt.js']
for (const [name, runs] of Object.entries(results)) {
  const all = runs.map(({ perSecond }) => `${Math.round(perSecond / 1000)}k`).join(' ')
  console.log(
    `${name.padEnd(9)} ${Math.round(median(runs.map((r) => r.perSecond)) / 1000)}k messages/s (${all}), ` +
      `${median(runs.map((r) => r.cpuUs)).toFixed(2)} us CPU a message, ${Math.round(median(runs.map((r) => r.rssMb)))} MB`,
  )
}
const times = (a, b) => median(a) / median(b)
console.log(
  `ratio: ${times(
    ours.map((r) => r.perSecond),
    theirs.map((r) => r.perSecond),
  ).toFixed(2)}x the messages per second, ` +
    `${times(
      ours.map((r) => r.cpuUs),
      theirs.map((r) => r.cpuUs),
    ).toFixed(2)}x the CPU per message (wanted: at least 3x, at most 0.33x)`,
)
