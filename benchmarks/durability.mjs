// What it costs to lose nothing: the log on against off in the JSON mean job, how long acknowledgements take, saved state of a
// million keys against none, and how long a restart takes. Each part runs in processes of its own.
//
//   node benchmarks/durability.mjs [rounds=3] [seconds=5] [part …]     parts: rate delay state recovery
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)
const KEYS = 1_000_000
const CHANGES = 10_000
/** Until all keys are there, the whole of them is saved, and changes twice: a job does this once. */
const WARM_BATCHES = 31
/** Long enough that the layers of changes are merged into the whole once. */
const STATE_BATCHES = 320
/** A batch every so many milliseconds, where batches do not follow each other as fast as they can. */
const PACE_MS = 100
const root = process.env.BENCH_DIR ?? tmpdir()

const programs = {
  /** Messages per second of the mean per sensor. `directory` empty: without the log. */
  async mean(url, seconds, directory) {
    const { MqttJsonReceiver, StreamingContext } = await import('millrace')
    const ssc = new StreamingContext({ appName: 'json-mean', batchInterval: '1s' })
    if (directory !== '') ssc.checkpoint(directory)
    const batches = []
    ssc
      .receiverStream(new MqttJsonReceiver(url, 'plant/#'))
      .map((reading) => [reading.id, [reading.v, 1]])
      .reduceByKey((a, b) => [a[0] + b[0], a[1] + b[1]])
      .foreachRDD(async (rdd) => {
        const sums = await rdd.collect()
        batches.push({ at: performance.now(), messages: sums.reduce((n, [, [, count]]) => n + count, 0) })
      })
    await ssc.start()
    // The first two batches warm the code up.
    while (batches.length < Number(seconds) + 2) await new Promise((resolve) => setTimeout(resolve, 50))
    const measured = batches.slice(1, Number(seconds) + 2)
    const messages = measured.slice(1).reduce((n, batch) => n + batch.messages, 0)
    return (messages * 1000) / (measured.at(-1).at - measured[0].at)
  },

  /**
   * Milliseconds of each batch that changes some of many keys, saved every so many batches. The next comes `paceMs` after it came, as
   * the clock of a stream would have it: then what counts is from the moment its records come to its end. With 0 it comes at
   * once, and everything counts: V8 collects garbage when it sees fit, in a batch or between two.
   */
  async state(directory, everyBatches, paceMs) {
    const { ssc, batch } = await stateJob(directory, { everyBatches: Number(everyBatches) })
    await batch(allKeys())
    for (let i = 1; i < WARM_BATCHES; i++) await batch(someKeys(i))
    const batches = Array.from({ length: STATE_BATCHES }, (_, i) => someKeys(WARM_BATCHES + i))
    let ms = 0
    const start = performance.now()
    for (const keys of batches) {
      const begin = performance.now()
      await batch(keys)
      const took = performance.now() - begin
      ms += took / STATE_BATCHES
      if (Number(paceMs) > 0) await new Promise((resolve) => setTimeout(resolve, Math.max(0, Number(paceMs) - took)))
    }
    if (Number(paceMs) === 0) ms = (performance.now() - start) / STATE_BATCHES
    await ssc.stop({ graceful: true })
    return ms
  },

  /** Milliseconds from the start of a new run to the end of its first batch, on what `state` left. */
  async recovery(directory) {
    const begin = performance.now()
    const { ssc, batch } = await stateJob(directory, { everyBatches: 10, batchesBefore: WARM_BATCHES + STATE_BATCHES })
    await batch(someKeys(0))
    const ms = performance.now() - begin
    await ssc.stop()
    return ms
  },
}

/** Counts by key under a clock that is moved as fast as the batches are done. */
async function stateJob(directory, { everyBatches, batchesBefore = 0 }) {
  const { Receiver, StateSpec, StorageLevel, StreamingContext } = await import('millrace')
  const { ManualClock } = await import('millrace/testing')
  class Hand extends Receiver {
    constructor() {
      super(StorageLevel.MEMORY_ONLY)
    }
    onStart() {}
    onStop() {}
  }
  const clock = new ManualClock(batchesBefore * 1000)
  const conf = { 'millrace.log.sync': 'always' }
  const ssc = new StreamingContext({ appName: 'state', batchInterval: 1000, conf }, { clock })
  if (directory !== '') ssc.checkpoint(directory)
  const hand = new Hand()
  const counts = ssc.receiverStream(hand).mapWithState(
    StateSpec.function((_key, _one, state) => {
      state.update((state.getOption() ?? 0) + 1)
      return null
    }),
  )
  counts.checkpoint(everyBatches * 1000)
  counts.foreachRDD(async (rdd) => {
    await rdd.count()
  })
  await ssc.start()
  return {
    ssc,
    async batch(keys) {
      await hand.storeBlock(keys.map((key) => [key, 1]))
      clock.advance(1000)
      await new Promise((resolve) => setImmediate(resolve))
      await ssc.batchesFinished()
    },
  }
}

const allKeys = () => Array.from({ length: KEYS }, (_, i) => `sensor-${i}`)
const someKeys = (round) => Array.from({ length: CHANGES }, (_, i) => `sensor-${((round * CHANGES + i) * 7919) % KEYS}`)

if (process.send !== undefined && process.argv[2] === 'program') {
  const [, , , name, ...args] = process.argv
  process.send(await programs[name](...args))
  process.exit()
}

const [rounds, seconds] = [Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 5)]
const wanted = process.argv.length > 4 ? process.argv.slice(4) : ['rate', 'delay', 'state', 'recovery']
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const each = (numbers, digits = 0) => numbers.map((number) => number.toFixed(digits)).join(' ')

async function run(name, ...args) {
  const child = fork(self, ['program', name, ...args.map(String)])
  const [result] = await once(child, 'message')
  await once(child, 'exit')
  return result
}

async function sender(file, ...args) {
  const path = fileURLToPath(new URL(`support/${file}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [port] = await once(child.stdout.setEncoding('utf8'), 'data')
  return { child, url: `mqtt://127.0.0.1:${port.trim()}` }
}

async function withDirectory(use) {
  const directory = mkdtempSync(join(root, 'millrace-bench-'))
  try {
    return await use(join(directory, 'checkpoint'))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

if (wanted.includes('rate')) {
  const { child, url } = await sender('frame-sender.mjs', 64, 1000, 1)
  const off = []
  const on = []
  for (let round = 0; round < rounds; round++) {
    off.push(await run('mean', url, seconds, ''))
    on.push(await withDirectory((directory) => run('mean', url, seconds, directory)))
  }
  child.kill()
  const thousands = (numbers) => `${Math.round(median(numbers) / 1000)}k (${each(numbers.map((n) => n / 1000))})`
  console.log(
    `JSON mean, messages/s: log off ${thousands(off)}, log and fdatasync on ${thousands(on)}: ${(median(on) / median(off)).toFixed(2)}x (wanted: at least 0.6x)`,
  )
}
if (wanted.includes('delay')) {
  const p99 = []
  for (let round = 0; round < rounds; round++) {
    const { child, url } = await sender('ack-delay-sender.mjs', 20_000, seconds, 64)
    const said = once(child.stdout, 'data')
    await withDirectory(async (directory) => {
      const job = fork(self, ['program', 'mean', url, '600', directory])
      const [line] = await said
      p99.push(JSON.parse(line))
      job.kill('SIGKILL')
      await once(job, 'exit')
    })
  }
  console.log(
    `acknowledgement at 20,000 messages/s with log and fdatasync: p50 ${each(
      p99.map((d) => d.p50),
      1,
    )} ms, p99 ${each(
      p99.map((d) => d.p99),
      1,
    )} ms (wanted: at most 20 ms)`,
  )
}
const ms = (numbers) => `${median(numbers).toFixed(1)} ms (${each(numbers, 1)})`
if (wanted.includes('state')) {
  for (const [pace, said] of [
    [PACE_MS, `one every ${PACE_MS} ms`],
    [0, 'back to back'],
  ]) {
    const [off, logged, on] = [[], [], []]
    for (let round = 0; round < rounds; round++) {
      off.push(await run('state', '', 10, pace))
      logged.push(await withDirectory((directory) => run('state', directory, 10_000, pace)))
      on.push(await withDirectory((directory) => run('state', directory, 10, pace)))
    }
    console.log(
      `${KEYS} keys of state, ${CHANGES} changes a batch, ${said}, ms a batch: nothing kept ${ms(off)}, the log ${ms(logged)}, the log and state every 10 batches ${ms(on)}: state adds ${((median(on) / median(logged) - 1) * 100).toFixed(0)} % (wanted: at most 10 %)`,
    )
  }
}
if (wanted.includes('recovery')) {
  const recovered = []
  for (let round = 0; round < rounds; round++) {
    await withDirectory(async (directory) => {
      await run('state', directory, 10, 0)
      recovered.push(await run('recovery', directory))
    })
  }
  console.log(`restart with ${KEYS} keys, to the end of the first batch: ${each(recovered)} ms (wanted: at most 3000)`)
}
