/** A job on a standalone cluster with a checkpoint: whatever is killed, nothing acknowledged is lost, state is exact, and no process is left. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { startCli } from '../cli/cli.js'
import { CountingJob, countingJob } from './counting-job-on-cluster.js'
import { descendantsOf, eventually, isAlive } from './processes.js'
import { NEWEST, removeDirectories, versions } from './spark-driver.js'

const tested = Number(process.env.MILLRACE_BUDGET ?? 1) > 1 ? versions : [NEWEST]

describe.each(tested)('On Spark %s, a standalone cluster of two workers', { timeout: 300_000 }, (version) => {
  let job: CountingJob
  let driver: ReturnType<typeof startCli>
  let stopPublishing: () => Promise<void>

  beforeAll(async () => {
    job = await CountingJob.prepare(version)
    driver = run()
    await job.subscribed()
    stopPublishing = job.keepPublishing()
    await job.goesOn()
  }, 600_000)
  afterAll(async () => {
    await stopPublishing?.()
    driver?.signal('SIGKILL')
    await job?.close()
    removeDirectories()
  })

  const run = (): ReturnType<typeof startCli> => {
    const shipped = ['--conf', `spark.archives=${nodeArchive()}#node`, '--conf', 'millrace.node=node/bin/node']
    return startCli(['run', countingJob, ...job.settings, ...shipped], { env: job.environment, isShared: true })
  }
  const driverJvm = (): number => descendantsOf(process.pid, /io\.millrace\.bridge\.Main serve/)[0]!
  const showDriver = (): void => onTestFailed(() => console.error(`The driver said:\n${driver.stderr}`))

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

  it('has what functions print in the logs of its executors', async () => {
    await eventually(() =>
      [0, 1].some((worker) => /^an executor read plant-\d+$/m.test(job.cluster.executorLogs(worker))),
    )
  })

  it('goes on when an executor is killed', async () => {
    showDriver()
    process.kill(job.cluster.executors()[0]!, 'SIGKILL')
    await job.goesOn()
  })

  it('goes on when a worker is killed, and its executor with it', async () => {
    showDriver()
    const executors = job.cluster.executors()
    job.cluster.killWorker(1)
    await job.goesOn()
    expect(executors.filter(isAlive)).toHaveLength(executors.length - 1)
    job.cluster.startWorker(1)
  })

  it('goes on in a new driver when the JVM is killed, whose Node ends, and all of theirs', async () => {
    showDriver()
    process.kill(driverJvm(), 'SIGKILL')
    expect((await driver.ended).status).not.toBe(0)
    await job.nothingLeft()
    driver = run()
    await job.goesOn()
  })

  it('goes on in a new driver when Node is killed, whose JVM ends, and all of theirs', async () => {
    showDriver()
    driver.signal('SIGKILL')
    await driver.ended
    await job.nothingLeft()
    driver = run()
    await job.goesOn()
  })

  it('has lost nothing and counted nothing twice, and leaves no process', async () => {
    showDriver()
    await stopPublishing()
    await job.allCounted()
    driver.signal('SIGINT')
    expect((await driver.ended).status).toBe(0)
    await job.nothingLeft()
    expect(job.totals).toMatchObject({ keys: job.published, sum: job.published })
  })
})
