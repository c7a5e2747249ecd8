/**
 * The promise of the log, tested by breaking it: a program is killed with SIGKILL at random moments while messages pour in at
 * QoS 1, its connection is cut in the middle of packets, and the broker is restarted in between. At the end every message published must have come
 * out exactly once: what the broker sends again is in the log already.
 *
 *   MILLRACE_BUDGET=20 npx vitest run test/faults/kill.test.ts     1,000 kills, 400 with the power lost, 5,000,000 messages that wait
 *   MILLRACE_SEED=7 npx vitest run test/faults/kill.test.ts        the same moments again, as far as a machine repeats itself
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startNode } from '../cli/cli.js'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { Mosquitto } from '../support/mosquitto.js'
import { randomNumbers } from '../support/random-numbers.js'
import { KillOutput } from './kill-output.js'
import { KilledProgram } from './killed-program.js'
import { NumberedPublishing } from './numbered-publishing.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const seed = Number(process.env.MILLRACE_SEED ?? 1)
const ratePerSecond = Number(process.env.MILLRACE_RATE ?? 20_000)
const driver = fileURLToPath(new URL('kill-driver.mjs', import.meta.url))

let root = ''

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-kill-'))
})

afterAll(() => rm(root, { recursive: true, force: true }))

/** A broker that keeps all it is given over a restart, and sends without a limit. */
async function startBroker(): Promise<Mosquitto> {
  const broker = await Mosquitto.start({
    persistence: true,
    config: ['max_queued_messages 0', 'max_inflight_messages 0', 'log_type error'],
  })
  onTestFinished(() => broker.close())
  return broker
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

/** Waits until all is out, ends the program, and compares. `row` is the beginning of the row in docs/reliability.md. */
async function expectAllOnce(
  output: KillOutput,
  program: KilledProgram,
  published: number,
  row: readonly (string | number)[],
): Promise<void> {
  await output.complete(published, program)
  await program.stop()
  const outcome = await output.outcome(published)
  process.stdout.write(`| ${[...row, published, outcome.missing, outcome.repeated].join(' | ')} |\n`)
  expect(outcome).toEqual({ missing: 0, repeated: 0, miscounted: 0 })
  await output.expectTotals(published)
}

/** Messages pour in while the program is killed, cut off, and its broker restarted. */
async function killMany(name: string, kills: number, isPowerLoss: boolean): Promise<void> {
  const random = randomNumbers(seed)
  const directory = join(root, name)
  const output = new KillOutput(join(directory, 'output'))
  await mkdir(output.directory, { recursive: true })
  const checkpoint = join(directory, 'checkpoint')
  const list = join(directory, 'synced')
  const broker = await startBroker()
  const proxy = await CuttingProxy.start(broker.port)
  onTestFinished(() => proxy.close())
  const args = [checkpoint, proxy.url, output.directory, ...(isPowerLoss ? [list] : [])]
  const program = new KilledProgram(() => startNode(driver, {}, args))
  const publishing = new NumberedPublishing(broker.port)
  onTestFinished(() => publishing.pause().catch(() => {}))
  // The session must exist before the first message counts.
  program.start()
  await broker.subscribed('kill-test')
  await publishing.start(ratePerSecond)
  let restarts = 0
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
      if (random() < 0.5) await program.kill()
      await broker.restart()
      await publishing.start(ratePerSecond)
      restarts++
      await new Promise((resolve) => setTimeout(resolve, 100 + random() * 400))
    }
    await program.kill()
    if (isPowerLoss) await cutPower(list, join(checkpoint, 'log'))
    program.start()
    // Now and then it may come through, and nothing is published until it has. Mosquitto forgets over a restart how much may be in flight,
    // and sends all that waits before it reads an acknowledgement: nothing would ever come of that in lives that become too short for
    // it, and a thousand kills would leave more and more to wait.
    if (kill % 25 === 24) {
      await publishing.pause()
      await output.complete(publishing.published, program)
      await publishing.start(ratePerSecond)
    }
  }
  await publishing.pause()
  proxy.cutEvery(null)
  const { published } = publishing
  await expectAllOnce(output, program, published, [name, seed, kills, restarts, proxy.cuts])
  expect(proxy.cuts).toBeGreaterThan(0)
}

/** All is published while the program is down, and the broker restarted: it sends all at once, and reads acknowledgements after. */
async function killOverBacklog(messages: number, kills: number): Promise<void> {
  const random = randomNumbers(seed)
  const directory = join(root, 'backlog')
  const output = new KillOutput(join(directory, 'output'))
  await mkdir(output.directory, { recursive: true })
  const broker = await startBroker()
  const args = [join(directory, 'checkpoint'), broker.url, output.directory]
  const program = new KilledProgram(() => startNode(driver, {}, args))
  program.start()
  await broker.subscribed('kill-test')
  await program.kill()
  await new NumberedPublishing(broker.port).all(messages)
  expect(await broker.end('SIGTERM'), 'how the broker ended').toBe(0)
  await broker.restart()
  for (let kill = 0; kill < kills; kill++) {
    program.start()
    await new Promise((resolve) => setTimeout(resolve, 500 + random() * messages * 0.003))
    expect(program.hasExited, program.said).toBe(false)
    await program.kill()
  }
  program.start()
  await expectAllOnce(output, program, messages, ['backlog', seed, kills, 1, 0])
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

  it(
    'when far more waits than a life of the program gets through, and the broker sends all of it each time',
    { timeout: 600_000 * Math.max(budget, 1) },
    () => killOverBacklog(Math.ceil(250_000 * budget), 6),
  )
})
