/** Jobs that spark-submit starts: the JVM is the parent of the Node driver. On a worker of a standalone cluster, and on this machine. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { cli, files, printedBatches } from '../cli/cli.js'
import { CountingJob, countingJob } from './counting-job-on-cluster.js'
import { eventually, isAlive } from './processes.js'
import { OLDEST, removeDirectories } from './spark-driver.js'

describe('millrace submit', { timeout: 600_000 }, () => {
  let job: CountingJob

  beforeAll(async () => {
    job = await CountingJob.prepare(OLDEST)
  }, 600_000)
  afterAll(async () => {
    await job.close()
    removeDirectories()
  })

  it('runs the driver on a worker, which starts it again when its JVM or its Node is killed, and it goes on', async () => {
    const { cluster } = job
    onTestFailed(() => console.error(`The drivers said:\n${cluster.driverLogs()}\n${cluster.log}`))
    const node = ['--conf', `millrace.node=${process.execPath}`]
    const args = ['submit', countingJob, ...job.settings, ...node, '--deploy-mode', 'cluster', '--supervise']
    const { status, stderr } = await cli(args, { env: { ...job.environment, XDG_CACHE_HOME: job.directory } })
    expect(stderr).toMatch(/millrace: submitting .*\/millrace\/jobs\/counting-[0-9a-f]{16}\.jar/)
    expect(status).toBe(0)
    await job.subscribed()
    await job.publish(50)
    await job.allCounted()

    const driver = (what: RegExp): Promise<number> => eventually(() => cluster.descendants(what)[0])
    const jvm = await driver(/DriverWrapper/)
    const first = await driver(/millrace-worker\.mjs driver/)
    process.kill(jvm, 'SIGKILL')
    await job.publish(50)
    await eventually(() => !isAlive(first))
    await job.allCounted()

    const second = await driver(/millrace-worker\.mjs driver/)
    expect(second).not.toBe(first)
    process.kill(second, 'SIGKILL')
    await job.publish(50)
    await job.allCounted()
    expect(job.totals).toMatchObject({ keys: job.published, sum: job.published })
  })

  it('runs the driver here in client mode, with its output and its status; native code must be on the machine', async () => {
    const directory = files({
      'node_modules/squaring/package.json': '{"name":"squaring","main":"main.js"}',
      'node_modules/squaring/binding.gyp': '{}',
      'node_modules/squaring/main.js': 'exports.square = (n) => n * n',
      'job.ts': `
        import { defineJob } from 'millrace'
        import { square } from 'squaring'
        export default defineJob({ name: 'squares', batchInterval: '200ms' }, (ssc) => {
          ssc.queueStream([[1, 2], [3]]).map((n) => square(n)).print()
        })`,
    })
    const args = ['--master', 'local[2]', '--deploy-mode', 'client', '--batches', '2']
    const conf = ['--conf', 'millrace.engine=spark', '--conf', `millrace.node=${process.execPath}`]
    const submit = (env: Record<string, string>): ReturnType<typeof cli> =>
      cli(['submit', 'job.ts', ...args, ...conf], {
        cwd: directory,
        env: { SPARK_HOME: job.cluster.home, XDG_CACHE_HOME: directory, ...env },
      })
    const without = await submit({})
    expect(without.stderr).toContain(
      `The package squaring has native code, which does not travel with the job, and on ${hostname()} it is not there`,
    )
    expect(without.status).not.toBe(0)
    const { status, stdout } = await submit({ NODE_PATH: join(directory, 'node_modules') })
    expect(printedBatches(stdout)).toEqual([['1', '4'], ['9']])
    expect(status).toBe(0)
  })
})
