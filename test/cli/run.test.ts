/** `millrace run`: jobs and scripts, settings, ends, and files that are wrong. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cli, files, printedBatches, startCli, startCliInTerminal, startCliWith } from './cli.js'

const numbers = `import { defineJob } from 'millrace'
export default defineJob({ name: 'numbers', batchInterval: '50ms' }, (ssc) => {
  const waiting: number[][] = [[1, 2, 3], [4, 5]]
  ssc.queueStream(waiting).map((n) => n * n).print()
})
`

/** A job that prints and then keeps going: its third batch takes until a file appears. */
const endless = `import { defineJob } from 'millrace'
let batch = 0
export default defineJob({ name: 'endless', batchInterval: '20ms' }, (ssc) => {
  ssc.queueStream<number>([]).foreachRDD(async () => {
    const number = ++batch
    console.log('begin ' + number)
    await new Promise((resolve) => setTimeout(resolve, 30))
    console.log('end ' + number)
  })
})
`

describe('millrace run', () => {
  it('runs a job and ends after the batches asked for', async () => {
    const cwd = files({ 'job.ts': numbers })
    const { status, stdout, stderr } = await cli(['run', 'job.ts', '--batches', '3'], { cwd })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(printedBatches(stdout)).toEqual([['1', '4', '9'], ['16', '25'], []])
  })

  it('ends after exactly the batches asked for when more are waiting', async () => {
    const cwd = files({ 'job.ts': endless })
    const { status, stdout } = await cli(['run', 'job.ts', '--batches', '2'], { cwd })
    expect(status).toBe(0)
    expect(stdout).toBe('begin 1\nend 1\nbegin 2\nend 2\n')
  })

  it.each(['local[2]', 'local[*]'])('runs the same job on %s, with the same result', async (master) => {
    const cwd = files({ 'job.ts': numbers })
    const { status, stdout } = await cli(['run', 'job.ts', '--batches', '3', '--master', master], { cwd })
    expect(status).toBe(0)
    expect(printedBatches(stdout)).toEqual([['1', '4', '9'], ['16', '25'], []])
  })

  it('goes on from a checkpoint', async () => {
    const counting = `import { defineJob, Receiver, StorageLevel } from 'millrace'
class Once extends Receiver<string> {
  constructor() { super(StorageLevel.MEMORY_ONLY) }
  onStart() { this.store('a') }
  onStop() {}
}
export default defineJob({ name: 'counting', batchInterval: '100ms' }, (ssc) => {
  ssc.receiverStream(new Once()).map((word) => [word, 1])
    .updateStateByKey<number>((values, count) => values.reduce((a, b) => a + b, count ?? 0)).print()
})
`
    const cwd = files({ 'job.ts': counting })
    for (const count of [1, 2, 3]) {
      const running = startCli(['run', 'job.ts', '--checkpoint', 'state'], { cwd })
      await running.says(new RegExp(`\\(a,${count}\\)`))
      running.signal('SIGINT')
      expect((await running.ended).status).toBe(0)
    }
  })

  it.each([['file'], ['file/below'], ['/proc/nothing']])('says that %s cannot hold a checkpoint', async (directory) => {
    const cwd = files({ 'job.ts': numbers, file: '' })
    const { status, stderr } = await cli(['run', 'job.ts', '--checkpoint', directory], { cwd })
    expect(status).toBe(1)
    expect(stderr).toContain(`millrace: CHECKPOINT_UNAVAILABLE: The checkpoint directory ${directory} cannot be used: `)
    expect(stderr).not.toMatch(/^ {4}at /m)
  })

  it('says that its output cannot be written', async () => {
    const running = startCliWith('exec "$@" > /dev/full', ['run', 'job.ts'], { cwd: files({ 'job.ts': numbers }) })
    const { status, stderr } = await running.ended
    expect(stderr).toMatch(/^millrace: standard output cannot be written: .*ENOSPC/m)
    expect(status).toBe(1)
  })

  it('runs a script that makes its own context', async () => {
    const script = `import { StreamingContext } from 'millrace'
const ssc = new StreamingContext({ appName: 'script', batchInterval: '50ms' })
ssc.queueStream([['a', 'b']]).print()
await ssc.start()
await ssc.awaitTermination()
console.log('after')
`
    const { status, stdout } = await cli(['run', 'script.ts', '--batches', '1'], {
      cwd: files({ 'script.ts': script }),
    })
    expect(status).toBe(0)
    expect(printedBatches(stdout)).toEqual([['a', 'b', 'after']])
  })

  it('waits for the context of a script that does not wait itself', async () => {
    const script = `import { StreamingContext } from 'millrace'
const ssc = new StreamingContext({ appName: 'script', batchInterval: '50ms' })
ssc.queueStream([['a']]).print()
await ssc.start()
`
    const { status, stdout } = await cli(['run', 'script.ts', '--batches', '2'], {
      cwd: files({ 'script.ts': script }),
    })
    expect(status).toBe(0)
    expect(printedBatches(stdout)).toEqual([['a'], []])
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'finishes the batch that runs when it gets %s, and ends well',
    async (signal) => {
      const running = startCli(['run', 'job.ts'], { cwd: files({ 'job.ts': endless }) })
      await running.says(/begin 3/)
      running.signal(signal)
      const { status, stdout } = await running.ended
      expect(status).toBe(0)
      const begun = stdout.match(/begin (\d+)/g)!.length
      const ended = stdout.match(/end (\d+)/g)!.length
      expect(ended).toBe(begun)
    },
  )

  it('ends at once at the second signal', async () => {
    const stuck = endless.replace('setTimeout(resolve, 30)', 'setInterval(() => {}, 1000)')
    const running = startCli(['run', 'job.ts'], { cwd: files({ 'job.ts': stuck }) })
    await running.says(/begin 1/)
    running.signal('SIGINT')
    running.signal('SIGTERM')
    // Which of two signals that wait is delivered first is the system's choice.
    expect([130, 143]).toContain((await running.ended).status)
  })

  it('keeps a status line in a terminal, and stops at Ctrl-C', async () => {
    const running = startCliInTerminal(['run', 'job.ts'], { cwd: files({ 'job.ts': endless }) })
    await running.says(/\d+ batches {2}0 messages\/s/)
    running.type('\x03')
    const { status, stdout } = await running.ended
    expect(status).toBe(0)
    // Lines of the job stand alone: what was shown is erased before they are written.
    expect(stdout).not.toMatch(/messages\/s[^\r\n]*(begin|end) \d/)
    expect(stdout.match(/end \d+/g)!.length).toBe(stdout.match(/begin \d+/g)!.length)
  })

  it('leaves whole fields of the status line out where a terminal is narrow', async () => {
    const running = startCliInTerminal(['run', 'job.ts'], { cwd: files({ 'job.ts': endless }), columns: 40 })
    await running.says(/\d+ batches {2}0 messages\/s\r.\[K/)
    running.type('\x03')
    expect((await running.ended).status).toBe(0)
  })

  it('writes the status line by line where there is no terminal, when asked', async () => {
    const running = startCli(['run', 'job.ts', '--status'], { cwd: files({ 'job.ts': endless }) })
    await running.says(/^\d+ batches {2}0 messages\/s {2}processing \d+ ms {2}scheduling \d+ ms\n/m, 'stderr')
    running.signal('SIGINT')
    expect((await running.ended).status).toBe(0)
  })
})

describe('settings of millrace run', () => {
  const job = (conf: string): string => `import { defineJob } from 'millrace'
export default defineJob({ name: 'x', batchInterval: '20ms', conf: ${conf} }, (ssc) => {
  console.log(ssc.conf.get('spark.streaming.blockInterval'), ssc.conf.get('spark.app.name'))
  ssc.queueStream([[1]]).foreachRDD(() => {})
})
`
  const interval = 'spark.streaming.blockInterval'

  it('come from the code, --conf, the file and the environment, in this order of strength', async () => {
    const env = { MILLRACE_CONF_SPARK_STREAMING_BLOCK_INTERVAL: '4' }
    const inFile = { 'millrace.conf': `${interval} 3\n` }
    const args = ['run', 'job.ts', '--batches', '1']
    const asked = ['--conf', `${interval}=2`]
    const code = job(`{ '${interval}': 1 }`)
    const first = async (directory: string, more: string[] = []): Promise<string> =>
      (await cli([...args, ...more], { cwd: directory, env })).stdout
    expect(await first(files({ 'job.ts': code, ...inFile }), asked)).toBe('1 x\n')
    expect(await first(files({ 'job.ts': job('{}'), ...inFile }), asked)).toBe('2 x\n')
    expect(await first(files({ 'job.ts': job('{}'), ...inFile }))).toBe('3 x\n')
    expect(await first(files({ 'job.ts': job('{}') }))).toBe('4 x\n')
  })

  it.each([
    ['spark.streaming.blokInterval=1', 'UNKNOWN_CONF_KEY', 'Did you mean spark.streaming.blockInterval?'],
    ['spark.streaming.blockInterval=soon', 'INVALID_CONF', 'expected a duration'],
    ['spark.streaming.blockInterval', 'INVALID_CONF', 'is not key=value'],
    ['spark.master=mars', 'UNKNOWN_MASTER', 'Expected local'],
  ])('refuses --conf %s', async (pair, code, text) => {
    const result = await cli(['run', 'job.ts', '--conf', pair], { cwd: files({ 'job.ts': job('{}') }) })
    expect(result.status).toBe(1)
    expect(result.stderr).toContain(`millrace: ${code}: `)
    expect(result.stderr).toContain(text)
  })
})

describe('a job file that is wrong', () => {
  it('is not there', async () => {
    const { status, stderr } = await cli(['run', 'none.ts'], { cwd: files({}) })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^millrace: JOB_MODULE_NOT_FOUND: There is no job at .*none\.ts/)
  })

  it.each([
    [
      'exports nothing',
      "import { defineJob } from 'millrace'\ndefineJob({ name: 'x', batchInterval: 1 }, () => {})\n",
      'has no default export',
    ],
    ['exports a function', 'export default function build() {}\n', 'exports by default the function build'],
    ['exports a plain object', "export default { name: 'x' }\n", 'exports by default an object of Object'],
  ])('%s', async (_, text, said) => {
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': text }) })
    expect(status).toBe(1)
    expect(stderr).toContain('millrace: JOB_MODULE_INVALID: ')
    expect(stderr).toContain(said)
    expect(stderr).toContain('export default defineJob(')
  })

  it('throws when it is loaded: the line is shown', async () => {
    const cwd = files({
      'lib/broken.ts': '\nexport function broken(): never {\n  throw new TypeError("no such mill")\n}\n',
      'job.ts': "import { broken } from './lib/broken.js'\n\nconst x: number = 1\nbroken()\nexport default x\n",
    })
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd })
    expect(status).toBe(1)
    expect(stderr).toContain('millrace: JOB_MODULE_FAILED: ')
    expect(stderr).toContain('no such mill')
    expect(stderr).toContain(`${join(cwd, 'lib/broken.ts')}:3:9`)
    expect(stderr).toContain(`${join(cwd, 'job.ts')}:4:1`)
  })

  it.each([
    ['local', ''],
    ['local[2]', ''],
    ['local', 'async '],
  ])('throws while the graph is built on %s by an %sfunction: the line is shown, once', async (master, async) => {
    const text = `import { defineJob } from 'millrace'
export default defineJob({ name: 'x', batchInterval: '1s' }, ${async}(ssc) => {
  ssc.queueStream([[1]]).print()
  throw new RangeError('no such mill')
})
`
    const cwd = files({ 'job.ts': text })
    const { status, stderr } = await cli(['run', 'job.ts', '--master', master], { cwd })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^millrace: JOB_MODULE_FAILED: .*job\.ts failed: no such mill\n/)
    expect(stderr.split(`${join(cwd, 'job.ts')}:4:9`)).toHaveLength(2)
  })

  it.each([
    ['waits for what never comes', 'await new Promise(() => {})', 'JOB_MODULE_FAILED: The job waits for a promise'],
    [
      'never starts its context',
      "import { StreamingContext } from 'millrace'\nnew StreamingContext({ appName: 'x', batchInterval: '1s' }).queueStream([[1]]).print()",
      'JOB_MODULE_INVALID: The script makes a StreamingContext and never starts it. Expected: await ssc.start()',
    ],
  ])('%s: that is said', async (_, text, said) => {
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': text }) })
    expect(status).toBe(1)
    expect(stderr).toContain(`millrace: ${said}`)
  })

  it('exports jobs by name only: they are named', async () => {
    const text = `import { defineJob } from 'millrace'
export const counts = defineJob({ name: 'a' }, () => {})
export const means = defineJob({ name: 'b' }, () => {})
`
    const { stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': text }) })
    expect(stderr).toMatch(/JOB_MODULE_INVALID: .* exports by name: counts, means; one of them must be the default/)
  })

  it('imports a package that is not there: the line is shown, without advice about another program', async () => {
    const { stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': "import 'no-such-package'\n" }) })
    expect(stderr).toContain('JOB_MODULE_COMPILE_FAILED')
    expect(stderr).toMatch(/no-such-package.*job\.ts:1:7/s)
    expect(stderr).not.toContain('external')
  })

  it('does not compile: the line is shown', async () => {
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': 'const a = 1\nlet b: = 2\n' }) })
    expect(status).toBe(1)
    expect(stderr).toContain('millrace: JOB_MODULE_COMPILE_FAILED: ')
    expect(stderr).toContain('job.ts:2:7')
    expect(stderr).toContain('let b: = 2')
  })

  it('imports a name Millrace does not have', async () => {
    const text = "import { defineJobs } from 'millrace'\nexport default defineJobs()\n"
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': text }) })
    expect(status).toBe(1)
    expect(stderr).toContain('millrace: JOB_MODULE_FAILED: ')
    expect(stderr).toContain('defineJobs')
  })

  it.each([
    ['http://me:hunter2@127.0.0.1', 'a', '{}', 'MQTT_INVALID_URL'],
    ['mqtt://127.0.0.1', 'a/#/b', '{}', 'MQTT_INVALID_TOPIC_FILTER'],
    ['mqtt://127.0.0.1', 'a', '{ clean: false }', 'MQTT_CLIENT_ID_REQUIRED'],
  ])(
    'gives a receiver the broker %s, the topic %s, the options %s: the line is shown',
    async (url, topic, options, code) => {
      const text = `import { defineJob, MqttStringReceiver } from 'millrace'
export default defineJob({ name: 'x', batchInterval: '1s' }, (ssc) => {
  ssc.receiverStream(new MqttStringReceiver('${url}', '${topic}', ${options})).print()
})
`
      const cwd = files({ 'job.ts': text })
      const { status, stderr } = await cli(['run', 'job.ts'], { cwd })
      expect(status).toBe(1)
      const [first, ...frames] = stderr.trimEnd().split('\n')
      expect(first).toContain(`millrace: ${code}: `)
      expect(frames.join()).toContain(`${join(cwd, 'job.ts')}:3:22`)
      expect(frames.filter((frame) => !frame.includes(cwd))).toEqual([])
      expect(stderr).not.toContain('hunter2')
    },
  )

  it('makes a mistake while the graph is built: the line is shown', async () => {
    const text = `import { defineJob } from 'millrace'
export default defineJob({ name: 'x', batchInterval: '1s' }, (ssc) => {
  const numbers = ssc.queueStream([[1]])
  numbers.window('1500ms').print()
})
`
    const cwd = files({ 'job.ts': text })
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd })
    expect(status).toBe(1)
    expect(stderr).toContain('millrace: ILLEGAL_ARGUMENT: ')
    expect(stderr).toContain(`${join(cwd, 'job.ts')}:4:11`)
  })

  it.each(['local', 'local[2]'])('fails in a batch on %s: the line is shown, and the status is 1', async (master) => {
    const text = `import { defineJob } from 'millrace'
export default defineJob({ name: 'x', batchInterval: '20ms' }, (ssc) => {
  ssc.queueStream([['a']]).map((word) => {
    throw new RangeError('cannot take ' + word)
  }).print()
})
`
    const cwd = files({ 'job.ts': text })
    const { status, stderr } = await cli(['run', 'job.ts', '--master', master], { cwd })
    expect(status).toBe(1)
    expect(stderr).toContain('BATCH_FAILED')
    expect(stderr).toContain('cannot take a')
    expect(stderr).toContain(`${join(cwd, 'job.ts')}:4:11`)
  })
})
