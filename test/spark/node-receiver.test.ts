/** Receivers beside Spark's executors: where their blocks are, and that nothing they acknowledged is lost whatever dies. */
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { StorageLevelValue } from '../../src/engine/spark/protocol.js'
import { countingReceiver } from './fixtures/counting-receiver.js'
import { descendantsOf, eventually, isAlive } from './processes.js'
import {
  linesOf,
  openSpark,
  readBatches,
  removeDirectories,
  type SparkDriver,
  temporaryDirectory,
} from './spark-driver.js'

afterAll(removeDirectories)

const MEMORY_AND_DISK_2: StorageLevelValue = [true, true, false, true, 2]

interface Run {
  readonly spark: SparkDriver
  readonly acknowledged: string
  readonly seen: Set<string>
  readonly batches: number[]
}

/** Starts receivers that count and a batch every 300 ms that reads them. */
async function startCounting(options: {
  master: string
  receivers?: number
  conf?: Record<string, string>
  checkpoint?: string
  acknowledged?: string
  seen?: Set<string>
  limit?: number
}): Promise<Run> {
  const acknowledged = options.acknowledged ?? join(temporaryDirectory(), 'acknowledged-')
  const spark = await openSpark({
    master: options.master,
    receiver: countingReceiver,
    env: { ACKNOWLEDGED: acknowledged, LIMIT: String(options.limit ?? 1e9) },
    conf: { 'spark.serializer': 'org.apache.spark.serializer.KryoSerializer', ...options.conf },
  })
  const seen = options.seen ?? new Set<string>()
  const batches: number[] = []
  readBatches(spark, (batch, records) => {
    batches.push(batch.time)
    for (const record of records) seen.add(record)
  })
  const receivers = Array.from({ length: options.receivers ?? 1 }, () => [null, MEMORY_AND_DISK_2] as const)
  await spark.connection.call([['streaming', 300, null, options.checkpoint ?? null, receivers], ['start']])
  return { spark, acknowledged, seen, batches }
}

const acknowledgedIn = (run: Run, receiver = 0): string[] => linesOf(`${run.acknowledged}${receiver}`)

/** Every acknowledged number came out of a batch. */
async function expectNothingLost(run: Run): Promise<void> {
  const stored = acknowledgedIn(run)
  await run.spark.until(() => stored.every((number) => run.seen.has(number)))
}

describe('A receiver in Node beside an executor', { timeout: 600_000 }, () => {
  it('keeps two copies of a MEMORY_AND_DISK_2 block in two executors, and loses nothing acknowledged when its executor is killed', async () => {
    const run = await startCounting({ master: 'local-cluster[2,2,1024]' })
    await run.spark.until(() => acknowledgedIn(run).length >= 100)

    const copies = await run.spark.until(async () => {
      const { value } = await run.spark.connection.call([['blocks']])
      const blocks = value as [string, [string, string][]][]
      return blocks.find(([name, holders]) => name.startsWith('input-') && holders.length === 2)?.[1]
    })
    expect(copies.map(([executor]) => executor)).toEqual(['0', '1'])
    expect(copies.every(([, level]) => level.includes('Memory'))).toBe(true)

    const [first] = linesOf(`${run.acknowledged}0.starts`)
    const started = run.spark.events.find(([name]) => name === 'receiverStarted')!
    const [executor] = descendantsOf(
      run.spark.pid,
      new RegExp(`CoarseGrainedExecutorBackend.*--executor-id ${started[3]} `),
    )
    process.kill(executor!, 'SIGKILL')
    const before = acknowledgedIn(run).length
    await run.spark.until(() => acknowledgedIn(run).length >= before + 100)
    expect(linesOf(`${run.acknowledged}0.starts`).length).toBeGreaterThan(1)
    await eventually(() => !isAlive(Number(first)))
    await expectNothingLost(run)
    await run.spark.stop()
    await eventually(() => !isAlive(Number(linesOf(`${run.acknowledged}0.starts`).at(-1))))
  })

  it('loses nothing acknowledged when driver, executors and receivers are killed at once, with the receiver log on', async () => {
    const checkpoint = temporaryDirectory()
    const conf = { 'spark.streaming.receiver.writeAheadLog.enable': 'true' }
    const first = await startCounting({ master: 'local-cluster[2,2,1024]', conf, checkpoint })
    await first.spark.until(() => acknowledgedIn(first).length >= 100)
    const family = [first.spark.pid, ...descendantsOf(first.spark.pid, /java|node/)]
    for (const pid of family) process.kill(pid, 'SIGKILL')
    await first.spark.exited
    await eventually(() => !family.some(isAlive))
    const stored = acknowledgedIn(first)
    expect(stored.length).toBeGreaterThanOrEqual(100)

    // What the first driver's batches read is not counted: the driver died with it, unless its batch had been finished.
    const second = await startCounting({
      master: 'local-cluster[2,2,1024]',
      conf,
      checkpoint,
      acknowledged: first.acknowledged,
      seen: first.seen,
    })
    await second.spark.until(() => acknowledgedIn(second).length >= stored.length + 50)
    await expectNothingLost(second)
    await second.spark.stop()
  })

  it('is started again when its Node process dies, and stops gracefully with all it stored', async () => {
    const run = await startCounting({
      master: 'local[3]',
      receivers: 2,
      conf: { 'spark.streaming.receiverRestartDelay': '100' },
    })
    await run.spark.until(() => acknowledgedIn(run, 0).length >= 50 && acknowledgedIn(run, 1).length >= 50)
    process.kill(Number(linesOf(`${run.acknowledged}0.starts`)[0]), 'SIGKILL')
    const before = acknowledgedIn(run).length
    await run.spark.until(() => acknowledgedIn(run).length >= before + 50)
    const stops = run.spark.events.filter(([name]) => name === 'receiverStopped')
    expect(JSON.stringify(stops)).toContain('The Node process of receiver 0 ended with exit code 137')

    await run.spark.connection.call([['stopStreaming', true]])
    const stored = [...acknowledgedIn(run, 0), ...acknowledgedIn(run, 1)]
    expect(stored.filter((number) => !run.seen.has(number))).toEqual([])
    await run.spark.stop()
  })
})
