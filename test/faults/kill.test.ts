/**
 * The promise of the log, tested by breaking it: a program is killed with SIGKILL at random moments while messages pour in at
 * QoS 1, its connection is cut in the middle of packets, and the broker is restarted in between. At the end every message published must have come
 * out exactly once: what the broker sends again is in the log already.
 *
 *   MILLRACE_BUDGET=20 npx vitest run test/faults/kill.test.ts     1,000 kills, and 400 with the power lost
 *   MILLRACE_SEED=7 npx vitest run test/faults/kill.test.ts        the same moments again, as far as a machine repeats itself
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { Mosquitto } from '../support/mosquitto.js'
import { randomNumbers } from '../support/random-numbers.js'
import { RawPublisher } from '../support/raw-publisher.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const seed = Number(process.env.MILLRACE_SEED ?? 1)
const ratePerSecond = Number(process.env.MILLRACE_RATE ?? 20_000)
const keys = 97
const driver = fileURLToPath(new URL('kill-driver.mjs', import.meta.url))

let root = ''
let broker: Mosquitto
const children = new Set<ChildProcess>()

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-kill-'))
})

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
})

class Driver {
  readonly #arguments: readonly string[]
  #child: ChildProcess | null = null
  /** The end of what it said on standard error, for when something is wrong. */
  said = ''

  constructor(...args: string[]) {
    this.#arguments = args
  }

  start(): void {
    const child = spawn(process.execPath, [driver, ...this.#arguments], { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.on('data', (chunk: Buffer) => {
      this.said = (this.said + chunk.toString()).slice(-5000)
    })
    children.add(child)
    this.#child = child
  }

  /** Ends it; resolves to its exit code, null after a kill. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child!
    const exited = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
    child.kill(signal)
    await exited
    children.delete(child)
    return child.exitCode
  }

  get hasExited(): boolean {
    return this.#child!.exitCode !== null
  }
}

/** Publishes numbered messages at a rate, until told to stop; can be paused at a moment when the broker has all of them. */
class Publishing {
  readonly #publisher: RawPublisher
  published = 0
  #isPaused = false
  #loop: Promise<void> = Promise.resolve()

  constructor(port: number) {
    this.#publisher = new RawPublisher(port, 'kill')
  }

  async start(): Promise<void> {
    await this.#publisher.connect()
    this.#isPaused = false
    this.#loop = this.#run()
  }

  /** Every message published so far is acknowledged by the broker; none is on its way. */
  async pause(): Promise<void> {
    this.#isPaused = true
    await this.#loop
    await this.#publisher.finished()
    await this.#publisher.close()
  }

  async #run(): Promise<void> {
    let last = performance.now()
    while (!this.#isPaused) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      // By the clock, so that a late timer does not lower the rate; at most a tenth of a second at once.
      const now = performance.now()
      const count = Math.round((ratePerSecond * Math.min(now - last, 100)) / 1000)
      last = now
      await this.#publisher.publish(
        Array.from({ length: count }, () => `k${this.published % keys} ${this.published++}`),
      )
    }
  }
}

const batchFiles = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => /^batch-\d+$/.test(name))

/** Counts lines of output, each file once: to know when all is there, without taking the machine from the program. */
class OutputCount {
  readonly #directory: string
  readonly #counted = new Set<string>()
  lines = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  async update(): Promise<number> {
    for (const name of await batchFiles(this.#directory)) {
      if (this.#counted.has(name)) continue
      this.#counted.add(name)
      this.lines += (await readFile(join(this.#directory, name), 'utf8')).split('\n').length
    }
    return this.lines
  }
}

/** What came out, compared with what was published: message i belongs to key i % keys and must stand in one line of one file. */
interface Outcome {
  missing: number
  repeated: number
  /** Numbers given to messages of a key that are not 1 to as many as it has, each once. */
  miscounted: number
}

/** Reads the files one by one into one byte for each message: a thousand kills let tens of millions through. */
async function outcomeOf(directory: string, published: number): Promise<Outcome> {
  const came = new Uint8Array(published)
  const numbered = new Uint8Array(published)
  let repeated = 0
  let miscounted = 0
  for (const name of await batchFiles(directory)) {
    for (const line of (await readFile(join(directory, name), 'utf8')).split('\n')) {
      const [key, id, number] = line.split(' ')
      // What was never published has no place, and counts like what has been there.
      if (came[Number(id)]!++ !== 0) repeated++
      // The n-th message of key k, whichever it was, takes the place of message (n - 1) * keys + k.
      const place = (Number(number) - 1) * keys + Number(key!.slice(1))
      if (numbered[place]!++ !== 0) miscounted++
    }
  }
  return { missing: came.reduce((missing, count) => missing + (count === 0 ? 1 : 0), 0), repeated, miscounted }
}

/** Cuts every log segment down to what the last sync of it covered. */
async function cutPower(list: string, log: string): Promise<void> {
  if (!existsSync(list)) return
  const synced = new Map<string, number>()
  for (const line of (await readFile(list, 'utf8')).split('\n')) {
    const [path, size] = line.split('\t')
    if (size !== undefined) synced.set(path!, Number(size))
  }
  for (const name of await readdir(log).catch(() => [])) {
    const length = synced.get(join(log, name))
    if (length === undefined) await rm(join(log, name))
    else await truncate(join(log, name), length)
  }
}

async function killMany(name: string, kills: number, isPowerLoss: boolean): Promise<void> {
  const random = randomNumbers(seed)
  const directory = join(root, name)
  const output = join(directory, 'output')
  await mkdir(output, { recursive: true })
  const checkpoint = join(directory, 'checkpoint')
  const list = join(directory, 'synced')
  broker = await Mosquitto.start({
    persistence: true,
    config: ['max_queued_messages 0', 'max_inflight_messages 0', 'log_type error'],
  })
  const proxy = await CuttingProxy.start(broker.port)
  const program = new Driver(checkpoint, proxy.url, output, ...(isPowerLoss ? [list] : []))
  const publishing = new Publishing(broker.port)
  try {
    // The session must exist before the first message counts.
    program.start()
    while (!broker.log.includes('kill-test') && !program.hasExited)
      await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((resolve) => setTimeout(resolve, 300))
    await publishing.start()
    let restarts = 0
    const count = new OutputCount(output)
    // What waited while the program was killed again and again may take long; nothing for two minutes is the end.
    const allOut = async (expected: number) => {
      let come = 0
      for (let deadline = Date.now() + 120_000; come < expected && Date.now() < deadline; ) {
        await new Promise((resolve) => setTimeout(resolve, 200))
        expect(program.hasExited, program.said).toBe(false)
        const now = await count.update()
        if (now > come) deadline = Date.now() + 120_000
        come = now
      }
    }
    for (let kill = 0; kill < kills; kill++) {
      if (random() < 0.5) proxy.cutAfter(random() * 500_000)
      // One moment in three is counted from the start of the program, so that recovery is killed as well; the others from the
      // first message on, however slow the machine is.
      const { bytesDown } = proxy
      const mustReceive = random() < 2 / 3
      for (const deadline = Date.now() + 30_000; mustReceive && Date.now() < deadline && !program.hasExited; ) {
        if (proxy.bytesDown > bytesDown) break
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      // Early moments are more likely, so that starting is killed often; some runs last for many batches and saved states.
      await new Promise((resolve) => setTimeout(resolve, random() ** 2 * 1500))
      expect(program.hasExited, program.said).toBe(false)
      if (random() < 0.15) {
        await publishing.pause()
        // One that ended by itself has not saved what it had, and nothing that follows would be about us.
        expect(await broker.end('SIGTERM'), 'how the broker ended').toBe(0)
        if (random() < 0.5) await program.end('SIGKILL')
        await broker.restart()
        await publishing.start()
        restarts++
        await new Promise((resolve) => setTimeout(resolve, 100 + random() * 400))
      }
      await program.end('SIGKILL')
      if (isPowerLoss) await cutPower(list, join(checkpoint, 'log'))
      program.start()
      // Now and then it may come through, and nothing is published until it has. Mosquitto forgets over a restart how much may be in flight,
      // and sends all that waits before it reads an acknowledgement: nothing would ever come of that in lives that become too short for
      // it, and a thousand kills would leave more to wait than the log remembers, which then comes out again.
      if (kill % 25 === 24) {
        await publishing.pause()
        await allOut(publishing.published)
        await publishing.start()
      }
    }
    await publishing.pause()
    proxy.cutEvery(null)
    const { published } = publishing
    await allOut(published)
    expect(await program.end('SIGTERM'), program.said).toBe(0)
    const outcome = await outcomeOf(output, published)
    process.stdout.write(
      `| ${name} | ${seed} | ${kills} | ${proxy.cuts} | ${restarts} | ${published} | ${ratePerSecond} | ${outcome.missing} | ${outcome.repeated} |\n`,
    )
    expect(outcome).toEqual({ missing: 0, repeated: 0, miscounted: 0 })
    expect(proxy.cuts).toBeGreaterThan(0)
    const totals = new Map(JSON.parse(await readFile(join(output, 'totals'), 'utf8')) as [string, number][])
    for (let key = 0; key < keys; key++) {
      expect(totals.get(`k${key}`)).toBe(Math.floor((published - 1 - key) / keys) + 1)
    }
  } finally {
    await publishing.pause().catch(() => {})
    await program.end('SIGKILL')
    await proxy.close()
    await broker.close()
  }
}

describe('every message published comes out exactly once', () => {
  it(
    'when the program is killed at random moments and the broker restarted in between',
    { timeout: 600_000 * Math.max(budget, 1) },
    () => killMany('killed', Math.ceil(50 * budget), false),
  )

  it(
    'when the power goes as well, and all that was not synced is lost',
    { timeout: 600_000 * Math.max(budget, 1) },
    () => killMany('power-loss', Math.ceil(20 * budget), true),
  )
})
