/** Receivers of one's own beside Spark's executors: all ways to store, to start again and to stop mean what they mean elsewhere. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ReceiverInfo } from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type JobOnSpark, jobOnSpark } from './job-on-spark.js'
import { eventually, isAlive } from './processes.js'
import { NEWEST, removeDirectories, temporaryDirectory } from './spark-driver.js'
import { StandaloneCluster } from './standalone-cluster.js'

type ReceiversJob = typeof import('./fixtures/receivers-job.js')

describe("Receivers of one's own on Spark, a standalone cluster of two workers", { timeout: 600_000 }, () => {
  let cluster: StandaloneCluster
  let job: JobOnSpark<ReceiversJob>
  const events: string[] = []

  beforeAll(async () => {
    cluster = await StandaloneCluster.start(NEWEST)
    job = await jobOnSpark<ReceiversJob>('receivers-job', {
      master: cluster.url,
      conf: {
        'spark.ui.enabled': 'true',
        'spark.ui.port': '0',
        'spark.streaming.receiverRestartDelay': '100',
        // Blocks stay where Spark's pages can be asked for them.
        'spark.streaming.unpersist': 'false',
      },
    })
    const note = (what: string) => (receiver: ReceiverInfo) => {
      events.push(`${what} ${receiver.name}: ${receiver.lastErrorMessage}: ${receiver.lastError}`)
    }
    job.ssc.addStreamingListener({
      onReceiverStarted: note('started'),
      onReceiverError: note('error'),
      onReceiverStopped: note('stopped'),
    })
    await job.ssc.start()
  }, 600_000)
  afterAll(async () => {
    await job.ssc.stop()
    await cluster.stop()
    removeDirectories()
  })

  it('run on the host they prefer', async () => {
    const { uiWebUrl, applicationId } = job.ssc.sparkContext
    const address = `${uiWebUrl}/api/v1/applications/${applicationId}/streaming/receivers`
    type Running = { streamId: number; executorHost?: string }
    // Spark's stream 0 is the batch clock, which runs nowhere.
    const running = await eventually(async () => {
      const all = (await (await fetch(address)).json()) as Running[]
      const placed = all.filter(({ executorHost }) => executorHost !== undefined)
      return placed.length === 3 ? placed : null
    })
    expect(running.find(({ streamId }) => streamId === 1)!.executorHost).toBe('127.0.0.2')
    expect(running.find(({ streamId }) => streamId === 2)!.executorHost).toBe('127.0.0.1')
  })

  it('store record by record', async () => {
    await eventually(() => job.module.seen.single.length >= 100)
    expect(job.module.seen.single).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  it("have two copies of what they store at a level with two, by Spark's own block info", async () => {
    const page = `${job.ssc.sparkContext.uiWebUrl}/storage/`
    const places = await eventually(async () => {
      const block = (await (await fetch(page)).text())
        .split(/(?=input-\d+-\d+)/)
        .find((row) => row.startsWith('input-1-'))
      return block === undefined ? null : [...block.matchAll(/127\.0\.0\.\d(?=:\d)/g)].map(([host]) => host)
    })
    expect(new Set(places)).toEqual(new Set(['127.0.0.1', '127.0.0.2']))
  })

  it('print to the log of their executor, and start again there when their process is killed', async () => {
    const pids = (index: number, name: string): number[] =>
      [...cluster.executorLogs(index).matchAll(new RegExp(`^${name} runs as (\\d+)$`, 'gm'))].map(([, pid]) =>
        Number(pid),
      )
    expect(pids(0, 'blocks').length).toBeGreaterThan(0)
    const [first] = pids(1, 'single')
    process.kill(first!, 'SIGKILL')
    await eventually(() => job.module.seen.single.length >= 200)
    expect(pids(1, 'single')).toHaveLength(2)
    expect(isAlive(first!)).toBe(false)
    expect(events.filter((event) => event.includes('exit code 137'))).not.toEqual([])
  })

  it('store blocks, and restart when they say so', async () => {
    await eventually(() => job.module.seen.blocks.includes('start 3 block 2'))
    const { blocks } = job.module.seen
    expect(blocks.filter((record) => record !== 'another')).toEqual(
      [1, 2, 3].flatMap((start) => [1, 2].map((block) => `start ${start} block ${block}`)),
    )
    expect(blocks.filter((record) => record === 'another')).toHaveLength(6)
    await eventually(() => events.filter((event) => event.includes('after start')).length === 2)
  })

  it('report errors, stop when they say so, and stay stopped', async () => {
    await eventually(() => events.some((event) => event.startsWith('stopped Enough-2')))
    // Two batches of Spark's own clock: a receiver that had been started again would have stored by then.
    await nextBatch()
    await nextBatch()
    expect(job.module.seen.enough).toEqual(['the only one'])
    expect(events.filter((event) => event.includes('Enough'))).toEqual([
      'started Enough-2: : ',
      'error Enough-2: Nearly done: nothing serious',
      'stopped Enough-2: That is enough: nothing serious',
    ])
  })

  it('and tasks name each worker that has no Node, or one too old', async () => {
    await job.ssc.stop()
    const node = join(temporaryDirectory(), 'node')
    writeFileSync(node, `#!/bin/sh\n[ "$SPARK_LOCAL_IP" = 127.0.0.1 ] && exec /nowhere/node "$@"\necho v18.20.8\n`)
    chmodSync(node, 0o755)
    const nodeless = await jobOnSpark<typeof import('./fixtures/nodeless-job.js')>('nodeless-job', {
      master: cluster.url,
      conf: { 'millrace.node': node },
    })
    const said = new Map<number, string>()
    nodeless.ssc.addStreamingListener({
      onReceiverStopped: ({ streamId, lastErrorMessage }) => {
        said.set(streamId, lastErrorMessage)
      },
    })
    await nodeless.ssc.start()
    const { failures } = nodeless.module
    await eventually(() => failures.length > 0)
    const says = (stream: number, text: string): Promise<boolean> => eventually(() => said.get(stream)?.includes(text))
    await says(0, `NODE_NOT_FOUND: There is no Node on 127.0.0.1: ${node} cannot be started.`)
    await says(1, `NODE_NOT_FOUND: Node (${node}) on 127.0.0.2 is v18.20.8. Millrace needs Node 20.19 or newer`)
    await nodeless.ssc.stop()
    expect(failures[0]).toMatchObject({ name: 'MillraceError', code: 'NODE_NOT_FOUND' })
    expect(String(failures[0])).toMatch(/ on 127\.0\.0\.[12]/)
  })

  const nextBatch = (): Promise<void> =>
    new Promise((resolve) => {
      const listener = {
        onBatchStarted: () => {
          job.ssc.removeStreamingListener(listener)
          resolve()
        },
      }
      job.ssc.addStreamingListener(listener)
    })
})
