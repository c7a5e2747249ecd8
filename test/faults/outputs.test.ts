/**
 * The outputs that docs/reliability.md calls exactly once are so when their programs are killed: the SQL example as it stands there,
 * `saveAsTextFiles`, and a function that writes beside and renames. Batches are torn in the middle of writing, and run again.
 */
import { once } from 'node:events'
import { readdirSync, readFileSync, watch } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { files, startCli } from '../cli/cli.js'
import { Mosquitto } from '../support/mosquitto.js'
import { randomNumbers } from '../support/random-numbers.js'
import { RawPublisher } from '../support/raw-publisher.js'
import { sqlCounts } from '../support/sql-counts.js'
import { KilledProgram } from './killed-program.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const seed = Number(process.env.MILLRACE_SEED ?? 1)
const example = fileURLToPath(new URL('../../examples/counts-into-sql.ts', import.meta.url))

const job = `
import { rename, writeFile } from 'node:fs/promises'
import { defineJob, MqttStringReceiver } from 'millrace'

export default defineJob({ name: 'word-files', batchInterval: '100ms' }, (ssc) => {
  const lines = ssc.receiverStream(new MqttStringReceiver(process.env.MQTT_URL!, 'words', { clientId: 'word-files' }))
  lines.saveAsTextFiles('text', 'txt')
  lines.foreachRDD(async (rdd, time) => {
    await writeFile(\`own-\${time}.tmp\`, (await rdd.collect()).join('\\n'))
    await rename(\`own-\${time}.tmp\`, \`own-\${time}\`)
  })
})
`

/** Resolves when a file whose name matches is begun or put in its place. */
async function written(cwd: string, name: RegExp): Promise<void> {
  const watcher = watch(cwd)
  for (let changed = ''; !name.test(changed); ) [, changed] = (await once(watcher, 'change')) as [string, string]
  watcher.close()
}

/** The lines of complete files: what a reader sees who keeps to the names. */
const linesOf = (cwd: string, name: RegExp): string[] =>
  readdirSync(cwd, { recursive: true })
    .filter((path) => name.test(String(path)))
    .flatMap((path) => readFileSync(join(cwd, String(path)), 'utf8').split('\n'))
    .filter((line) => line !== '')

it('writes every message once into SQL and into files, however often the programs are killed', {
  timeout: 600_000 * Math.max(budget, 1),
}, async () => {
  const kills = Math.ceil(12 * budget)
  const random = randomNumbers(seed)
  const cwd = files({ 'word-files.ts': job })
  const broker = await Mosquitto.start({ config: ['max_queued_messages 0', 'max_inflight_messages 0'] })
  onTestFinished(() => broker.close())
  const env = { MQTT_URL: broker.url, DATABASE: join(cwd, 'counts.sqlite') }
  const programs = [
    { clientId: 'counts-into-sql', job: example, writes: /sqlite$/ },
    { clientId: 'word-files', job: join(cwd, 'word-files.ts'), writes: /^(text|own)-/ },
  ].map(({ clientId, job, writes }) => {
    const args = ['run', job, '--checkpoint', join(cwd, clientId)]
    return { clientId, writes, program: new KilledProgram(() => startCli(args, { cwd, env })) }
  })
  for (const { clientId, program } of programs) {
    program.start()
    await broker.subscribed(clientId)
  }
  const publisher = new RawPublisher(broker.port, 'words')
  await publisher.connect()
  const published: string[] = []
  let isOver = false
  onTestFinished(() => {
    isOver = true
  })
  const publishing = (async () => {
    while (!isOver) {
      const some = Array.from({ length: 20 }, (_, i) => `word-${published.length + i}`)
      published.push(...some)
      await publisher.publish(some)
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    await publisher.finished()
    await publisher.close()
  })()
  for (let kill = 0; kill < kills; kill++) {
    const { program, writes } = programs[kill % programs.length]!
    await new Promise((resolve) => setTimeout(resolve, random() * 3000))
    // Half of the moments are just after something was written: is the batch done, or will it run again?
    if (random() < 0.5) await written(cwd, writes)
    await program.kill()
    program.start()
  }
  isOver = true
  await publishing

  const outputs = {
    text: async () => linesOf(cwd, /^text-\d+\.txt\/part-\d+$/),
    own: async () => linesOf(cwd, /^own-\d+$/),
    sql: async () => ((await sqlCounts(env.DATABASE)) ?? []).flatMap(([word, n]) => new Array<string>(n).fill(word)),
  }
  const expected = published.toSorted()
  for (const [output, lines] of Object.entries(outputs)) {
    // What is there once more would be seen as well: all have come when as many lines have.
    for (const deadline = Date.now() + 120_000; (await lines()).length < published.length && Date.now() < deadline; )
      await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await lines()).sort(), output).toEqual(expected)
  }
  for (const { program } of programs) await program.stop()
  for (const [output, lines] of Object.entries(outputs)) expect((await lines()).sort(), output).toEqual(expected)
})
