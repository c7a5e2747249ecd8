/** A disk that fills up under a job that runs, on a file system of its own: the source waits, and goes on when there is space. */
import { execFileSync } from 'node:child_process'
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MqttStringReceiver, StreamingContext } from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Log } from '../../dist/log.js'
import { Mosquitto } from '../support/mosquitto.js'
import { RawPublisher } from '../support/raw-publisher.js'

const MEGABYTE = 1 << 20
const diskBytes = 24 * MEGABYTE

/** Mounts a small disk at `path`; false where this user may not. */
function mount(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const root = await mkdtemp(join(tmpdir(), 'millrace-disk-'))
const isMounted = mount(root)
let broker: Mosquitto

beforeAll(async () => {
  broker = await Mosquitto.start({ config: ['max_queued_messages 0', 'max_inflight_messages 0', 'log_type error'] })
})
afterAll(async () => {
  await StreamingContext.getActive()?.stop()
  await broker.close()
  if (isMounted) execFileSync('umount', ['-l', root])
  await rm(root, { recursive: true, force: true })
})

/** Takes all the space there is. */
function fill(): void {
  try {
    writeFileSync(join(root, 'filler'), Buffer.alloc(diskBytes))
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
  }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe.runIf(isMounted)('a disk that is full', () => {
  it('pauses the source with an error that says so; when there is space again, everything comes, once', {
    timeout: 90_000,
  }, async () => {
    const errors: string[] = []
    const numbers: number[] = []
    const ssc = new StreamingContext({ appName: 'full', batchInterval: 100 }, { log: new Log('silent') })
    ssc.checkpoint(join(root, 'checkpoint'))
    ssc.addStreamingListener({ onReceiverError: ({ lastError }) => errors.push(lastError) })
    const pairs = ssc
      .receiverStream(new MqttStringReceiver(broker.url, 'full', { clientId: 'full', qos: 1 }))
      .map((line) => ['all', Number(line.split(' ')[0])] as const)
    pairs.foreachRDD(async (rdd) => {
      for (const [, number] of await rdd.collect()) numbers.push(number)
    })
    const totals = pairs.updateStateByKey((values, total: number | null) => (total ?? 0) + values.length)
    let total = 0
    totals.checkpoint(200)
    totals.foreachRDD(async (rdd) => {
      for (const [, count] of await rdd.collect()) total = count
    })
    await ssc.start()
    const publisher = new RawPublisher(broker.port, 'full')
    await publisher.connect()
    let published = 0
    const publish = (count: number): Promise<void> =>
      publisher.publish(Array.from({ length: count }, () => `${published++} ${'x'.repeat(500)}`))
    // The subscription is there when something comes.
    while (numbers.length === 0) {
      await publish(1)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const first = numbers[0]!
    await publish(1000)
    await until(() => numbers.length === published - first)
    fill()
    await publish(4000)
    await until(() => errors.length > 0)
    expect(errors[0]).toContain('the disk is full')
    expect(ssc.getState()).toBe('ACTIVE')
    expect(numbers.length).toBeLessThan(published - first)
    rmSync(join(root, 'filler'))
    await until(() => numbers.length >= published - first)
    await publish(100)
    await until(() => numbers.length >= published - first)
    await publisher.close()
    expect(await ssc.stop({ graceful: true })).toMatchObject({ graceful: true, unfinishedBatches: 0 })
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: published - first }, (_, i) => first + i))
    expect(total).toBe(published - first)
    await ssc.awaitTermination()
  })
})

describe.runIf(isMounted)('a disk that is full at the start', () => {
  it('is refused with what to do, and its checkpoint is not put aside as if it were damaged', async () => {
    fill()
    // A page is left, which the lock takes; the log has none.
    const filler = join(root, 'filler')
    truncateSync(filler, statSync(filler).size - 4096)
    const start = async (): Promise<void> => {
      const ssc = new StreamingContext({ appName: 'full', batchInterval: 100 }, { log: new Log('silent') })
      ssc.checkpoint(join(root, 'checkpoint'), { createOnError: true })
      ssc.queueStream([[1]]).print()
      await ssc.start()
      await ssc.stop()
    }
    const before = await readdir(root)
    try {
      await expect(start()).rejects.toMatchObject({
        code: 'LOG_WRITE_FAILED',
        message: expect.stringMatching(/the disk is full\. Free some space; then start again\.$/),
      })
      expect(await readdir(root)).toEqual(before)
    } finally {
      rmSync(filler)
    }
  })
})

describe.runIf(isMounted)('a file system that is read-only', () => {
  it('is refused at the start, with what to do', async () => {
    const path = await mkdtemp(join(tmpdir(), 'millrace-read-only-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', path])
    try {
      const ssc = new StreamingContext({ appName: 'refused', batchInterval: 100 }, { log: new Log('silent') })
      ssc.checkpoint(path)
      ssc.queueStream([[1]]).print()
      await expect(ssc.start()).rejects.toMatchObject({
        code: 'CHECKPOINT_UNAVAILABLE',
        message: expect.stringContaining('EROFS'),
      })
    } finally {
      execFileSync('umount', [path])
      await rm(path, { recursive: true })
    }
  })
})
