/** A job on a standalone cluster with a checkpoint: whatever is killed, nothing acknowledged is lost, state is exact, and no process is left. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { startCli } from '../cli/cli.js'
import { CountingJob, countingJob } from './counting-job-on-cluster.js'
import { descendantsOf, eventually, isAlive } from './processes.js'
import { NEWEST, removeDirectories, versions } from './spark-driver.js'

/** The Node driver's death is also that of the submitted job's test. */
const hasBudget = Number(process.env.MILLRACE_BUDGET ?? 1) > 1
const tested = hasBudget ? versions : [NEWEST]

describe.each(tested)('On Spark %s, a standalone cluster of two workers', { timeout: 600_000 }, (version) => {
  let job: CountingJob

  beforeAll(async () => {
    job = await CountingJob.prepare(version)
  }, 600_000)
  afterAll(async () => {
    await job.close()
    removeDirectories()
  })

  /** An archive with a Node in it: a script that starts the one that runs this test. */
  const nodeArchive = (): string => {
    const bin = join(job.directory, 'archive/bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`)
    chmodSync(join(bin, 'node'), 0o755)
    const archive = join(job.directory, 'node.tgz')
    execFileSync('tar', ['-czf', archive, '-C', join(job.directory, 'archive'), 'bin'])
    return archive
  }

  it('loses nothing and counts nothing twice when drivers, executors and workers are killed', async () => {
    const { cluster } = job
    const shipped = ['--conf', `spark.archives=${nodeArchive()}#node`, '--conf', 'millrace.node=node/bin/node']
    const run = (): ReturnType<typeof startCli> =>
      startCli(['run', countingJob, ...job.settings, ...shipped], { env: job.environment })
    const driverJvm = (): number => descendantsOf(process.pid, /io\.millrace\.bridge\.Main serve/)[0]!

    let driver = run()
    onTestFailed(() => console.error(`The driver said:\n${driver.stderr}`))
    await job.subscribed()
    const stopPublishing = job.keepPublishing()
    await job.caughtUp()

    process.kill(driverJvm(), 'SIGKILL')
    expect((await driver.ended).status).not.toBe(0)
    await job.nothingLeft()
    driver = run()
    await job.caughtUp()

    if (hasBudget) {
      const jvm = driverJvm()
      driver.signal('SIGKILL')
      await driver.ended
      await eventually(() => !isAlive(jvm))
      await job.nothingLeft()
      driver = run()
      await job.caughtUp()
    }

    process.kill(cluster.executors()[0]!, 'SIGKILL')
    await job.caughtUp()

    cluster.killWorker(1)
    await job.caughtUp()
    cluster.startWorker(1)
    await stopPublishing()
    await job.allCounted()

    driver.signal('SIGINT')
    expect((await driver.ended).status).toBe(0)
    await job.nothingLeft()
    expect(job.totals).toMatchObject({ keys: job.published, sum: job.published })
  })
})
