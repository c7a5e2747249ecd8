// What tasks that compute for five seconds cost a receiver on `local[2]`: how long acknowledgements take, and how far the batch
// clock strays, before and while every thread that may be taken is busy. The session has a keepalive of two seconds.
//
//   node benchmarks/executors-busy.mjs
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { run } from '../dist/index.js'

const path = fileURLToPath(new URL('support/paced-sender.mjs', import.meta.url))
const sender = spawn(process.execPath, [path, '5'], { stdio: ['pipe', 'pipe', 'inherit'] })
const lines = createInterface({ input: sender.stdout })
const [port] = await once(lines, 'line')
process.env.BENCHMARK_BROKER = `mqtt://127.0.0.1:${port}`
globalThis.millraceMessages = 0

let acknowledged = []
lines.on('line', (line) => acknowledged.push(...JSON.parse(line)))
let strayed = []
let errors = 0
const module = new URL('support/busy-job.mjs', import.meta.url)
const { default: job } = await import(module)
const ssc = await run(job, { master: 'local[2]', module }, { ambient: [] })
ssc.addStreamingListener({
  onBatchSubmitted: ({ batchTime }) => void strayed.push(Date.now() - batchTime),
  onReceiverError: () => void errors++,
})

const at = (numbers, part) => [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) * part)]
function report(when) {
  const [acks, clock] = [acknowledged, strayed]
  acknowledged = []
  strayed = []
  console.log(
    `${when.padEnd(22)} ${acks.length} acknowledgements: median ${at(acks, 0.5).toFixed(1)} ms, 99% ${at(acks, 0.99).toFixed(1)} ms, ` +
      `longest ${at(acks, 1).toFixed(1)} ms (wanted: at most 100); ${clock.length} batches begun, the latest ${at(clock, 1)} ms late`,
  )
}
await new Promise((resolve) => setTimeout(resolve, 3000))
acknowledged = []
strayed = []
await new Promise((resolve) => setTimeout(resolve, 5000))
report('idle')
await globalThis.millraceBusy.collect()
report('while tasks compute')
console.log(
  `errors of the receiver, a lost session among them: ${errors}; messages processed: ${globalThis.millraceMessages}`,
)
await ssc.stop()
sender.kill()
