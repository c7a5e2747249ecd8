// A mean per sensor of JSON readings from MQTT, each second: the same job on `local` and on `local[2]`, in turns. 64-byte payloads
// at QoS 1 from 1,000 topics, from a sender of pre-encoded frames: no broker in between.
//
//   node benchmarks/executors-mqtt.mjs [rounds=3] [seconds=6]
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)
const masters = ['local', 'local[2]']

async function measure(master, seconds) {
  const { run } = await import('../dist/index.js')
  const module = new URL('support/mean-job.mjs', import.meta.url)
  const { default: job } = await import(module)
  globalThis.millraceBatches = []
  const batches = globalThis.millraceBatches
  const ssc = await run(job, { master, module }, { ambient: [] })
  // The first two batches warm the code up.
  while (batches.length < seconds + 3) await new Promise((resolve) => setTimeout(resolve, 50))
  void ssc.stop()
  const [from, ...measured] = batches.slice(2, seconds + 3)
  const to = measured.at(-1)
  const messages = measured.reduce((n, batch) => n + batch.messages, 0)
  const cpuUs = to.cpu.user + to.cpu.system - from.cpu.user - from.cpu.system
  return { perSecond: (messages * 1000) / (to.at - from.at), cpuUs: cpuUs / messages }
}

if (process.send !== undefined && process.argv[2] === 'subscriber') {
  process.send(await measure(process.argv[3], Number(process.argv[4])))
  process.exit()
}

const rounds = Number(process.argv[2] ?? 3)
const seconds = Number(process.argv[3] ?? 6)
const sender = spawn(
  process.execPath,
  [fileURLToPath(new URL('support/frame-sender.mjs', import.meta.url)), '64', '1000', '1'],
  { stdio: ['pipe', 'pipe', 'inherit'] },
)
const [port] = await once(sender.stdout, 'data')
const results = Object.fromEntries(masters.map((master) => [master, []]))
for (let round = 0; round < rounds; round++) {
  for (const master of masters) {
    const env = { ...process.env, BENCHMARK_BROKER: `mqtt://127.0.0.1:${String(port).trim()}` }
    const child = fork(self, ['subscriber', master, String(seconds)], { env })
    const [result] = await once(child, 'message')
    results[master].push(result)
    await once(child, 'exit')
  }
}
sender.kill()
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
for (const [master, runs] of Object.entries(results)) {
  const all = runs.map(({ perSecond }) => `${Math.round(perSecond / 1000)}k`).join(' ')
  console.log(
    `${master.padEnd(9)} ${Math.round(median(runs.map((run) => run.perSecond)) / 1000)}k messages/s (${all}), ` +
      `${median(runs.map((run) => run.cpuUs)).toFixed(2)} us CPU a message`,
  )
}
const ratios = results.local.map((run, round) => results['local[2]'][round].perSecond / run.perSecond)
console.log(
  `ratio: ${median(ratios).toFixed(2)}x (each round: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}; ` +
    'wanted: at least 1.2x, never below 1x)',
)
