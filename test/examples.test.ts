/** Every example runs, as a person would run it, against a real broker. */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { files, printedBatches, startCli } from './cli/cli.js'
import { Mosquitto } from './support/mosquitto.js'
import { sqlCounts } from './support/sql-counts.js'

const root = fileURLToPath(new URL('..', import.meta.url))
let broker: Mosquitto
beforeAll(async () => {
  broker = await Mosquitto.start()
})
afterAll(() => broker.close())

/** A retained message waits for the subscriber: nobody has to guess when the job is ready. */
const retain = (topic: string, payload: string): Promise<void> => broker.publish(topic, payload, '-r')

/** Runs an example until it has printed that, ends it with Ctrl-C, and gives the batches it printed that are not empty. */
async function printed(name: string, until: RegExp, env: Record<string, string> = {}): Promise<string[][]> {
  const running = startCli(['run', `examples/${name}.ts`], { cwd: root, env: { MQTT_URL: broker.url, ...env } })
  await running.says(until)
  running.signal('SIGINT')
  const { status, stdout, stderr } = await running.ended
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return printedBatches(stdout).filter((batch) => batch.length > 0)
}

const tested: Readonly<Record<string, () => Promise<void>>> = {
  async 'word-count'() {
    await retain('rupesh/gpiotopic', 'the mill the race\nthe end')
    const [batch] = await printed('word-count', /\(end,1\)[\s\S]*\n\n/)
    expect(batch!.sort()).toEqual(['(end,1)', '(mill,1)', '(race,1)', '(the,3)'])
  },

  async 'top-words'() {
    const { status, stdout } = await startCli(['run', 'examples/top-words.ts'], { cwd: root }).ended
    expect(status).toBe(0)
    expect(stdout.trim().split('\n')).toHaveLength(10)
    expect(stdout).toMatch(/^\d+ millrace$/m)
  },

  async 'known-sensors'() {
    const sensors = join(files({ 'sensors.csv': 's1,boiler\ns2,pump\n' }), 'sensors.csv')
    await retain('plant/1/reading', '{"id":"s1","value":7}')
    await retain('plant/2/reading', '{"id":"s9","value":8}')
    expect(await printed('known-sensors', /boiler\)\n\n/, { SENSORS: sensors })).toEqual([['(7,boiler)']])
  },

  async 'counts-into-sql'() {
    const cwd = files({})
    const env = { MQTT_URL: broker.url, DATABASE: join(cwd, 'counts.sqlite') }
    const until = async (expected: unknown): Promise<void> => {
      while (!isDeepStrictEqual(await sqlCounts(env.DATABASE), expected))
        await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const args = ['run', join(root, 'examples/counts-into-sql.ts'), '--checkpoint', join(cwd, 'checkpoint')]
    const first = startCli(args, { cwd: root, env })
    await until(null)
    await broker.subscribed('counts-into-sql')
    await broker.publish('words', 'the mill')
    await until([
      ['mill', 1],
      ['the', 1],
    ])
    first.signal('SIGKILL')
    await first.ended
    // The batch runs again, with its input: the transaction that was made leaves nothing to add.
    const replay = ['replay', '--checkpoint', join(cwd, 'checkpoint')]
    const list = await startCli(replay, { cwd: root, env }).ended
    const [time] = /^ *(\d+).* 1 records/m.exec(list.stdout)!.slice(1)
    expect((await startCli([...replay, '--batch', time!], { cwd: root, env }).ended).status).toBe(0)
    const second = startCli(args, { cwd: root, env })
    await broker.publish('words', 'the race')
    await until([
      ['mill', 1],
      ['race', 1],
      ['the', 2],
    ])
    second.signal('SIGTERM')
    expect((await second.ended).status).toBe(0)
  },

  async 'gpio-lines'() {
    await retain('rupesh/gpiotopic', 'pin 4 high\npin 7 low\n')
    expect(await printed('gpio-lines', /pin 7 low\n\n/)).toEqual([['pin 4 high', 'pin 7 low']])
  },

  async 'json-mean'() {
    await retain('plant/a/temperature', '{"sensor":"oven","celsius":200}')
    await retain('plant/b/temperature', '{"sensor":"oven","celsius":210}')
    // A tick of the batch clock may fall between the two messages: then each is the mean of its batch.
    const batches = await printed('json-mean', /\(oven,205\)\n\n|\(oven,2[01]0\)\n\n[\s\S]*\(oven,2[01]0\)\n\n/)
    expect([['(oven,205)'], ['(oven,200)', '(oven,210)']]).toContainEqual(batches.flat().sort())
  },

  async 'windowed-alerts'() {
    await retain(
      'plant/a/log',
      'WARN press-1 hot\nINFO press-1 fine\nWARN oven-2 hot\nWARN press-1 hot\nWARN press-1 hot',
    )
    const batches = await printed('windowed-alerts', /warned 3 times[\s\S]*warned 3 times\n\n/)
    for (const batch of batches) expect(batch).toEqual(['press-1 warned 3 times'])
  },

  async 'custom-receiver'() {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.write('grind\nturn\n')
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const batches = await printed('custom-receiver', /TURN\n\n/, { PORT: String(port) })
    expect(batches).toContainEqual(['2'])
    expect(batches).toContainEqual(['GRIND', 'TURN'])
  },
}

const examples = readdirSync(`${root}/examples`).map((file) => file.replace(/\.ts$/, ''))

it.each(examples)('example %s does what it says', async (name) => {
  await tested[name]!()
})
