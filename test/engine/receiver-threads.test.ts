/** Receivers in threads of their own: what tasks do does not reach them, and a lost thread loses nothing that was stored. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Job, type MqttMessageReceiver, run, type StreamingContext } from 'millrace'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { bundleJob } from '../../dist/engine/job-bundle.js'
import { Mosquitto } from '../support/mosquitto.js'

const cleanUp: (() => unknown)[] = []
const state = globalThis as unknown as { received: unknown[] }
let directory = ''

beforeEach(() => {
  state.received = []
  directory = mkdtempSync(join(tmpdir(), 'millrace-threads-'))
  process.env.MILLRACE_TEST_DIRECTORY = directory
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }))
})

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function start(fixture: string, master: string, conf: Record<string, string> = {}): Promise<StreamingContext> {
  const bundle = await bundleJob(fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url)))
  const module = pathToFileURL(bundle.file)
  const { default: job } = (await import(module.href)) as { default: Job }
  const ssc = await run(job, { master, module, conf: [conf] }, { ambient: [] })
  cleanUp.push(() => ssc.stop())
  return ssc
}

async function startMqtt(): Promise<{ ssc: StreamingContext; broker: Mosquitto; publisher: MqttClient }> {
  const broker = await Mosquitto.start()
  cleanUp.push(() => broker.close())
  process.env.MILLRACE_TEST_BROKER = broker.url
  const ssc = await start('mqtt-job.ts', 'local[2]')
  await until(() => broker.log.includes('Sending SUBACK to threads'))
  const publisher = await connectAsync(broker.url)
  cleanUp.push(() => publisher.endAsync())
  return { ssc, broker, publisher }
}

async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 60_000, interval: 20 })
}

function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, n) => `message ${from + n}`)
}

test('while a task computes for five seconds, messages are acknowledged, the session with keepalive 2 s lives and the batch clock ticks', async () => {
  const { ssc, broker, publisher } = await startMqtt()
  const count = (line: string): number => broker.log.split(line).length - 1
  const times: number[] = []
  ssc.addStreamingListener({ onBatchSubmitted: ({ batchTime }) => void times.push(batchTime) })
  await publisher.publishAsync('threads/a', 'compute', { qos: 1 })
  await until(() => existsSync(`${directory}/computing`))
  // The task computes until all of this has been seen, and for five seconds: so it happens while the task runs.
  const [pings, ticks] = [count('Received PINGREQ from threads'), times.length]
  await Promise.all(texts(0, 100).map((text) => publisher.publishAsync('threads/a', text, { qos: 1 })))
  await until(() => count('Received PUBACK from threads') === 101)
  await until(() => count('Received PINGREQ from threads') >= pings + 2)
  await until(() => times.length >= ticks + 40)
  expect(existsSync(`${directory}/computed`)).toBe(false)
  writeFileSync(`${directory}/go-on`, '')
  await until(() => state.received.length === 101)
  expect(state.received.sort()).toEqual(['compute', ...texts(0, 100)].sort())
  expect(broker.log).not.toMatch(/threads has exceeded timeout|Client threads (disconnected|closed|already)/)
  expect(times).toEqual(times.map((_, n) => times[0]! + n * 100))
})

test('the driver knows how a receiver in a thread is doing, to its end', async () => {
  const { ssc, broker, publisher } = await startMqtt()
  const { receiver } = globalThis as unknown as { receiver: MqttMessageReceiver }
  const connected = { isConnected: true, broker: broker.url, connections: 1, heldBy: [], maxBufferedBytes: 67_108_864 }
  await until(() => receiver.status?.isConnected === true)
  await Promise.all(texts(0, 10).map((text) => publisher.publishAsync('threads/a', text, { qos: 1 })))
  await until(() => receiver.status?.messages === 10 && receiver.status.unacknowledged === 0)
  expect(receiver.status).toMatchObject(connected)
  await ssc.stop()
  expect(receiver.status).toMatchObject({ isConnected: false, messages: 10, connections: 1 })
})

test('a task that ends its thread costs no message', async () => {
  const { publisher } = await startMqtt()
  for (const text of [...texts(0, 50), 'exit', ...texts(50, 100)]) {
    await publisher.publishAsync('threads/a', text, { qos: 1 })
  }
  await until(() => state.received.length >= 101)
  expect(existsSync(`${directory}/exited`)).toBe(true)
  expect(state.received.sort()).toEqual(['exit', ...texts(0, 100)].sort())
})

test.each(['exit', 'uncaught', 'memory'])(
  'a receiver whose thread ends by %s starts again in another, and what it had stored is processed',
  async (fault) => {
    process.env.MILLRACE_TEST_FAULT = fault
    await start('numbers-job.ts', 'local[2]', { 'millrace.executor.memory': '96m' })
    await until(() => new Set(state.received).size === 1000)
    expect(existsSync(`${directory}/exited`)).toBe(true)
    expect((state.received as number[]).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n))
  },
)

test('a batch that fails while the threads load the job ends the start, and the job with the error of the batch', async () => {
  const ssc = await start('failing-job.ts', 'local[2]')
  await expect(ssc.awaitTermination()).rejects.toMatchObject({
    code: 'BATCH_FAILED',
    message: expect.stringContaining('The table is not there'),
  })
})
