/** Jobs as executor threads load them: what a module may use, what it must not do, and the user's lines in what it throws. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Job, MillraceError, run } from 'millrace'
import { expect, onTestFinished, test } from 'vitest'
import { bundleJob } from '../../dist/engine/job-bundle.js'
import { loadJobModule } from '../../dist/engine/job-module.js'
import { cli, printedBatches, startCli } from '../cli/cli.js'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** A directory with a job and what it imports. */
function project(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-job-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  for (const [path, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return directory
}

/** What a job on `local[2]` ends with. */
async function failureOf(directory: string): Promise<MillraceError> {
  const bundle = await bundleJob(join(directory, 'job.ts'))
  const job: Job = await loadJobModule(bundle)
  try {
    const ssc = await run(job, { master: 'local[2]', module: bundle.file })
    await ssc.awaitTermination()
  } catch (error) {
    if (MillraceError.is(error)) return error
    throw error
  }
  throw new Error('The job ended well.')
}

/** The codes and texts of an error and its causes. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return `${(error as { code?: string }).code ?? error.name}: ${error.message}\n${error.stack}\n${wordsOf(error.cause)}`
}

test.each(['local', 'local[2]'])(
  'a job uses constants, packages, JSON, native code and async functions of its module on %s',
  async (master) => {
    const platform = readdirSync(modules).find((name) => name.startsWith('lightningcss-'))!
    const directory = project({
      'node_modules/leftish/package.json': '{"main":"main.js"}',
      'node_modules/leftish/main.js': "module.exports = (n, width) => String(n).padStart(width, '0')\n",
      'scale.json': '{"factors":[2,3]}',
      'kinds.ts':
        "export enum Kind { odd = 'odd', even = 'even' }\nexport const offset: number = await Promise.resolve(100)\n",
      'job.ts': `import { appendFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { transform } from 'lightningcss'
import { defineJob } from 'millrace'
import pad from 'leftish'
import scale from './scale.json' with { type: 'json' }
import addon from './addon.node'
import { Kind, offset } from './kinds.js'

const names = new Map([[1, 'one'], [2, 'two']])
class Doubled { constructor(readonly n: number) {} get value() { return this.n * scale.factors[0] } }

export default defineJob({ name: 'everything', batchInterval: '50ms' }, (ssc) => {
  const numbers = ssc.queueStream([[1, 2, 3]])
  numbers.map((n) => [pad(new Doubled(n).value + offset, 5), names.get(n) ?? (n % 2 ? Kind.odd : Kind.even)].join(' ')).print()
  numbers.transform((rdd) => rdd.map((n) => n * offset).mapPartitions(function* (all) { for (const n of all) yield n + 1 })).print()
  numbers.map((n) => transform({ filename: 'a.css', code: Buffer.from('a { width: ' + n + 'px }'), minify: true }).code.toString()).print()
  numbers.map(() => typeof addon.transform + ' ' + (threadId === 0 ? 'driver' : 'thread')).print()
  numbers.foreachPartition(async (all) => {
    await new Promise((resolve) => setTimeout(resolve, 1))
    for (const n of all) appendFileSync('seen', n + (threadId === 0 ? ' driver' : ' thread') + '\\n')
  })
  numbers.foreachRDD((rdd) => void console.log(threadId === 0 ? 'foreachRDD in the driver' : 'foreachRDD in a thread'))
})
`,
    })
    for (const name of ['lightningcss', platform, 'detect-libc'])
      symlinkSync(join(modules, name), join(directory, 'node_modules', name))
    const binary = readdirSync(join(modules, platform)).find((name) => name.endsWith('.node'))!
    symlinkSync(join(modules, platform, binary), join(directory, 'addon.node'))
    const where = master === 'local' ? 'driver' : 'thread'
    const { status, stdout, stderr } = await cli(['run', 'job.ts', '--master', master, '--batches', '1'], {
      cwd: directory,
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(printedBatches(stdout)).toEqual([
      ['00102 one', '00104 two', '00106 odd'],
      ['101', '201', '301'],
      ['a{width:1px}', 'a{width:2px}', 'a{width:3px}'],
      [...Array(3).fill(`function ${where}`), 'foreachRDD in the driver'],
    ])
    expect(readFileSync(join(directory, 'seen'), 'utf8')).toBe([1, 2, 3].map((n) => `${n} ${where}\n`).join(''))
  },
)

const head = "import { isMainThread } from 'node:worker_threads'\nimport { defineJob } from 'millrace'\n"
const job = (body: string): string =>
  `${head}export default defineJob({ name: 'x', batchInterval: '50ms' }, (ssc) => {\n${body}\n})\n`
const numbers = '  const numbers = ssc.queueStream([[1, 2, 3]])\n'

test.each([
  [
    'describes another operation',
    job(`${numbers}  if (isMainThread) numbers.map((n) => n).print()\n  else numbers.filter((n) => n > 1).print()`),
    ['GRAPH_MISMATCH', '1-map(0-queueStream)', '1-filter(0-queueStream)', 'no random numbers'],
  ],
  [
    'gives an operation another function',
    job(`${numbers}  numbers.map(isMainThread ? (n) => n + 1 : (n) => n * 2).print()`),
    ['GRAPH_MISMATCH', '1-map(0-queueStream)'],
  ],
  [
    'describes a window of another length',
    job(`${numbers}  numbers.window(isMainThread ? 100 : 150).print()`),
    ['GRAPH_MISMATCH', '1-window(0-queueStream)', '100 ms in the driver', '150 ms in a worker'],
  ],
  [
    'describes one operation more',
    job(`${numbers}  numbers.print()\n  if (isMainThread) numbers.map((n) => n).print()`),
    ['GRAPH_MISMATCH', '1-map(0-queueStream)', 'missing in a worker'],
  ],
  [
    'throws in the function that describes it',
    job(`${numbers}  if (!isMainThread) throw new RangeError('not here')\n  numbers.print()`),
    ['JOB_MODULE_FAILED', 'not here', 'job.ts:5:'],
  ],
  [
    'throws when it is loaded',
    `if (!isMainThread) throw new RangeError('not here')\n${job(`${numbers}  numbers.print()`)}`,
    ['JOB_MODULE_FAILED', 'not here', 'job.ts:1:'],
  ],
  [
    'starts its context',
    job(`${numbers}  numbers.print()\n  if (!isMainThread) void ssc.start()`).replace('void ssc', 'return ssc'),
    ['JOB_MODULE_INVALID', 'may only describe'],
  ],
])('a module that %s in a thread is refused by name', async (_, text, expected) => {
  const words = wordsOf(await failureOf(project({ 'job.ts': text })))
  for (const part of expected) expect(words).toContain(part)
})

const thrower =
  "export function refuse(n: number): number {\n  if (n === 2) throw new RangeError('two')\n  return n\n}\n"

test.each([
  ['a map', `numbers.map((n) => refuse(n)).print()`],
  ['a function inside transform', `numbers.transform((rdd) => rdd.filter((n) => refuse(n) > 0)).print()`],
  [
    'an async function of foreachPartition',
    `numbers.foreachPartition(async (all) => { for (const n of all) refuse(await n) })`,
  ],
  ['foreachRDD', `numbers.foreachRDD(async (rdd) => { for (const n of await rdd.collect()) refuse(n) })`],
])('what %s throws on local[2] shows the lines of the files it came through', async (_, line) => {
  const text = job(`${numbers}  ${line}`).replace(head, `${head}import { refuse } from './refuse.js'\n`)
  const cwd = project({ 'job.ts': text, 'refuse.ts': thrower })
  const { status, stderr } = await cli(['run', 'job.ts', '--master', 'local[2]'], { cwd })
  expect(status).toBe(1)
  for (const part of ['BATCH_FAILED', ': two\n', 'refuse.ts:2:', 'job.ts:6:']) expect(stderr).toContain(part)
})

test.each(['local', 'local[2]'])(
  'what a receiver throws on %s is logged with the line it came from',
  async (master) => {
    const text = `import { defineJob, Receiver, StorageLevel } from 'millrace'
import { refuse } from './refuse.js'
class Refusing extends Receiver<number> {
  constructor() { super(StorageLevel.MEMORY_ONLY) }
  onStart() { setTimeout(() => { refuse(2) }, 1) }
  onStop() {}
}
export default defineJob({ name: 'x', batchInterval: '50ms' }, (ssc) => {
  ssc.receiverStream(new Refusing()).print()
})
`
    const cwd = project({ 'job.ts': text, 'refuse.ts': thrower })
    const running = startCli(['run', 'job.ts', '--master', master], { cwd })
    await running.says(/level=warn .*error=two at="refuse \(.*\/refuse\.ts:2:\d+\)"/, 'stderr')
  },
)
