/** `millrace run` of what has no streams: it works on RDDs and ends. */
import { describe, expect, it } from 'vitest'
import { cli, files } from './cli.js'

const words = `import { defineJob } from 'millrace'
import { isMainThread } from 'node:worker_threads'
export default defineJob({ name: 'words' }, async ({ sparkContext: sc }) => {
  const counts = sc.textFile('text').flatMap((line) => line.split(' ')).map((word) => [word, 1]).reduceByKey((a, b) => a + b)
  const places = sc.range(0, 4, 1, 4).map(() => isMainThread)
  console.log(JSON.stringify((await counts.collect()).sort()))
  console.log(JSON.stringify([...new Set(await places.collect())]))
  const more = counts.map(([word, n]) => word + n)
  console.log(JSON.stringify((await more.collect()).sort()))
})
`

describe('millrace run of a job without streams', () => {
  it.each([
    ['local', 'true', /^$/],
    ['local[2]', 'false', /MillraceWarning: Functions of collect at job\.ts:9 run in the driver/],
  ])(
    'on %s runs its actions and ends; what is described first runs in the executors',
    async (master, inDriver, warning) => {
      const cwd = files({ 'job.ts': words, text: 'to be or\nnot to be\n' })
      const { status, stdout, stderr } = await cli(['run', 'job.ts', '--master', master], { cwd })
      expect(status).toBe(0)
      expect(stderr).toMatch(warning)
      expect(stdout.trim().split('\n')).toEqual([
        '[["be",2],["not",1],["or",1],["to",2]]',
        `[${inDriver}]`,
        '["be2","not1","or1","to2"]',
      ])
    },
  )

  it('waits for actions that nobody awaits', async () => {
    const job = `import { defineJob } from 'millrace'
export default defineJob({ name: 'loose' }, ({ sparkContext: sc }) => {
  sc.parallelize([1, 2]).collect().then(async (records) => {
    console.log(records.length)
    console.log(await sc.range(5).count())
  })
})
`
    const { status, stdout } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': job }) })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '2\n5\n' })
  })

  it('fails when an action fails, naming the record and the line', async () => {
    const job = `import { defineJob } from 'millrace'
export default defineJob({ name: 'fails' }, async ({ sparkContext: sc }) => {
  await sc.parallelize([1, 2]).map((n) => {
    if (n === 2) throw new Error('no twos')
    return n
  }).collect()
})
`
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': job }) })
    expect(status).toBe(1)
    expect(stderr).toMatch(/TASK_FAILED: .*record 2: no twos[\s\S]*job\.ts:4/)
  })

  it('ends a script that makes a context for its RDDs only', async () => {
    const script = `import { StreamingContext } from 'millrace'
const { sparkContext: sc } = new StreamingContext({ appName: 'script', batchInterval: '1s' })
console.log(await sc.range(10).map((n) => n + 1).sum())
`
    const { status, stdout, stderr } = await cli(['run', 'script.ts'], { cwd: files({ 'script.ts': script }) })
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '55\n', stderr: '' })
  })

  it('still misses the output of a job with streams', async () => {
    const job = `import { defineJob } from 'millrace'
export default defineJob({ name: 'mute', batchInterval: '1s' }, async (ssc) => { ssc.queueStream([[1]]).map((n) => n) })
`
    const { status, stderr } = await cli(['run', 'job.ts'], { cwd: files({ 'job.ts': job }) })
    expect(status).toBe(1)
    expect(stderr).toContain('NO_OUTPUT_OPERATION')
  })

  it('is not a mistake to lint, and is described without being run', async () => {
    const cwd = files({ 'job.ts': words, text: '' })
    expect(await cli(['lint', 'job.ts'], { cwd })).toMatchObject({
      status: 0,
      stdout: 'job.ts: 0 errors, 0 warnings\n',
    })
    expect(await cli(['graph', 'job.ts'], { cwd })).toMatchObject({ status: 0, stderr: '' })
  })
})
