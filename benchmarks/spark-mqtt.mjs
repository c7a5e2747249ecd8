// Lines from Mosquitto to an output, on one machine and the same broker, by four ways: the receiver of the post "Custom MQTT Spark
// Receiver" in Java after its design (`post`), the same with its faults mended (`careful`), Millrace on Spark (`spark`), and Millrace's
// embedded engine (`embedded`). All run the same pipeline, batches of a second. Two measurements:
//
//   load   the rate rises step by step; a step is held if what was published has come out, at most some batches late. Latency is from
//          publishing a line to its batch's output, which half a batch of waiting is part of.
//   kill   at 5,000 lines a second the executor of the receiver (`embedded`: the whole process) is killed with SIGKILL; counted is
//          what never came out, and what came out twice.
//
//   node benchmarks/spark-mqtt.mjs [load|kill] [post] [careful] [spark] [embedded]      all of it when nothing is named
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildJavaPrograms, startJava } from './support/java-programs.mjs'
import { LineOutput } from './support/line-output.mjs'
import { startMosquitto } from './support/mosquitto.mjs'
import { cpuSeconds, descendants, residentMb } from './support/processes.mjs'
import { sparkHome } from './support/spark-homes.mjs'

const self = fileURLToPath(import.meta.url)
const support = (name) => fileURLToPath(new URL(`support/${name}`, import.meta.url))
const BATCH_MS = 1000
const STEPS = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000]
const STEP_MS = 7_000
const WARM_UP_MS = 10_000
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

if (process.argv[2] === 'run') await runMillrace(process.argv[3])
else await main(process.argv.slice(2))

async function main(args) {
  const kinds = ['post', 'careful', 'spark', 'embedded'].filter(
    (kind, _, all) => !all.some((each) => args.includes(each)) || args.includes(kind),
  )
  const what = ['load', 'kill'].filter(
    (each) => (!args.includes('load') && !args.includes('kill')) || args.includes(each),
  )
  const home = await sparkHome()
  buildJavaPrograms()
  for (const each of what) {
    for (const kind of kinds) await (each === 'load' ? load(kind, home) : kill(kind, home))
  }
}

/** A broker, a publisher and one of the four programs; `output` collects what the program says of its batches. */
async function rig(kind, home, master) {
  const broker = await startMosquitto()
  const publisher = spawn(process.execPath, [support('line-publisher.mjs'), String(broker.port), 'bench/lines'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const sent = { published: 0 }
  createInterface(publisher.stdout).on('line', (line) => {
    sent.published = Number(line.split(' ')[0])
  })
  const output = new LineOutput()
  const conf = {
    'spark.ui.enabled': 'true',
    'spark.ui.port': '0',
    'spark.executor.memory': '512m',
    'spark.log.level': 'ERROR',
  }
  const checkpoint = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const start = () =>
    kind === 'post' || kind === 'careful'
      ? startJava('MqttLines', [kind, `tcp://127.0.0.1:${broker.port}`, 'bench/#', String(BATCH_MS), 'process'], home, {
          'spark.master': master,
          ...conf,
        })
      : startMillrace(kind, { home, master, conf, port: broker.port, checkpoint: master === null ? null : checkpoint })
  let program = start()
  const begin = async () => {
    const begun = performance.now()
    const [application, ui] = (await program.nextLine()).split(' ')
    void output.follow(program)
    return { application, ui, startMs: performance.now() - begun }
  }
  return {
    broker,
    output,
    sent,
    begin,
    /** Starts the program again, after it was killed. */
    again() {
      program = start()
      return begin()
    },
    get program() {
      return program
    },
    rate: (linesPerSecond) => publisher.stdin.write(`${linesPerSecond}\n`),
    async stop() {
      publisher.stdin.end()
      await program.stop()
      broker.stop()
      rmSync(checkpoint, { recursive: true, force: true })
    },
  }
}

async function load(kind, home) {
  const run = await rig(kind, home, kind === 'embedded' ? null : 'local[2]')
  const { startMs } = await run.begin()
  run.rate(STEPS[0])
  await sleep(WARM_UP_MS)
  console.log(`\n${kind.padEnd(9)} up in ${(startMs / 1000).toFixed(1)} s`)
  for (const rate of STEPS) {
    run.rate(rate)
    await sleep(1000)
    const before = { ...usage(run), published: run.sent.published, counted: run.output.count(), at: Date.now() }
    await sleep(STEP_MS)
    const after = { ...usage(run), published: run.sent.published, counted: run.output.count() }
    const lines = after.counted - before.counted
    const latencies = run.output.latencies(before.at)
    const quantile = (q) => `${((latencies[Math.floor(q * latencies.length)] ?? Number.NaN) / 1000).toFixed(2)}`
    const behind = after.published - after.counted
    const isHeld = lines >= 0.9 * (after.published - before.published) && behind < rate * 2.5
    console.log(
      `${kind.padEnd(9)} ${String(rate / 1000).padStart(4)}k lines/s: ${isHeld ? 'held  ' : 'failed'} ${Math.round(lines / STEP_MS)}k/s out, ` +
        `latency p50 ${quantile(0.5)} p95 ${quantile(0.95)} p99 ${quantile(0.99)} s, ` +
        `CPU ${(((after.cpu - before.cpu) / lines) * 1e6).toFixed(2)} s a million lines (broker ${(((after.broker - before.broker) / lines) * 1e6).toFixed(2)}), ${Math.round(after.mb)} MB`,
    )
    if (!isHeld) break
  }
  await run.stop()
}

/** CPU seconds and memory of the program with all its processes, and CPU seconds of the broker. */
function usage({ program, broker }) {
  const family = [program.pid, ...descendants(program.pid, /java|node/)]
  return {
    cpu: family.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    mb: family.reduce((sum, pid) => sum + residentMb(pid), 0),
    broker: cpuSeconds(broker.pid),
  }
}

async function kill(kind, home) {
  const run = await rig(kind, home, kind === 'embedded' ? 'local' : 'local-cluster[2,2,1024]')
  const { application, ui } = await run.begin()
  run.rate(5000)
  // What is published before there is a subscription is nobody's to lose.
  while (run.output.count() < 5000) await sleep(100)
  const first = Math.ceil(run.sent.published / 1000)
  while (run.output.count() < 20_000) await sleep(100)
  if (kind === 'embedded') {
    process.kill(run.program.pid, 'SIGKILL')
    await sleep(1000)
    await run.again()
  } else {
    const executor = await executorOfReceiver(run.program.pid, `${ui}/api/v1/applications/${application}`)
    process.kill(executor, 'SIGKILL')
  }
  await sleep(15_000)
  run.rate(0)
  await sleep(1000)
  const { published } = run.sent
  // Until nothing has come for ten seconds.
  for (let last = -1, since = Date.now(); Date.now() - since < 10_000; await sleep(250)) {
    if (run.output.count() === last) continue
    last = run.output.count()
    since = Date.now()
  }
  const counts = new Map()
  for (const { thousands } of run.output.batches.values())
    for (const [thousand, lines] of thousands) counts.set(thousand, (counts.get(thousand) ?? 0) + lines)
  let lost = 0
  let twice = 0
  for (let thousand = first; thousand * 1000 < published; thousand++) {
    const expected = Math.min(1000, published - thousand * 1000)
    const found = counts.get(thousand) ?? 0
    lost += Math.max(0, expected - found)
    twice += Math.max(0, found - expected)
  }
  console.log(
    `${kind.padEnd(9)} killed at 5k lines/s: of ${published - first * 1000} lines published since the receiver was subscribed, ${lost} lost, ${twice} more than once`,
  )
  await run.stop()
}

/** The process of the executor that runs the receiver, once Spark's pages know which one that is. Millrace's batch clock has none. */
async function executorOfReceiver(program, address) {
  for (;;) {
    const streams = await (await fetch(`${address}/streaming/receivers`)).json()
    const id = streams.find(({ executorId }) => executorId !== undefined)?.executorId
    const [pid] = descendants(program, new RegExp(`CoarseGrainedExecutorBackend.*--executor-id ${id} `))
    if (pid !== undefined) return pid
    await sleep(100)
  }
}

function startMillrace(kind, { home, master, conf, port, checkpoint }) {
  const env = {
    ...process.env,
    SPARK_HOME: home,
    SPARK_LOCAL_IP: '127.0.0.1',
    MQTT_URL: `mqtt://127.0.0.1:${port}`,
    CLIENT_ID: 'millrace-lines',
    BATCH_MS: String(BATCH_MS),
    BENCH_MASTER: master ?? 'local',
    BENCH_CONF: JSON.stringify(
      kind === 'spark'
        ? { 'millrace.engine': 'spark', 'spark.driver.memory': '1g', ...conf }
        : checkpoint === null
          ? {}
          : { 'spark.streaming.checkpoint.directory': checkpoint },
    ),
  }
  const child = spawn(process.execPath, [self, 'run', kind], {
    env,
    stdio: ['pipe', 'pipe', process.env.MILLRACE_BENCH_LOG ? 'inherit' : 'ignore'],
  })
  const waiting = createInterface(child.stdout)[Symbol.asyncIterator]()
  const exited = new Promise((resolve) => child.once('exit', resolve))
  return {
    pid: child.pid,
    async nextLine() {
      const { value, done } = await waiting.next()
      if (done) throw new Error(`The job ended with exit code ${await exited}.`)
      return value
    },
    async stop() {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await exited
      clearTimeout(timer)
    },
  }
}

/** In a process of its own: runs the job until standard input ends. */
async function runMillrace() {
  const { run } = await import('../dist/index.js')
  const module = pathToFileURL(support('mqtt-lines-job.mjs'))
  const { default: job } = await import(module.href)
  const ssc = await run(job, { master: process.env.BENCH_MASTER, module, conf: [JSON.parse(process.env.BENCH_CONF)] })
  console.log(`${ssc.sparkContext.applicationId} ${ssc.sparkContext.uiWebUrl}`)
  process.stdin.on('end', async () => {
    await ssc.stop()
    process.exit()
  })
  process.stdin.resume()
}
