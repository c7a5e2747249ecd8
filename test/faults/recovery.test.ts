/** A job stopped without grace, or by a failing batch, and started again on its checkpoint directory. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Receiver, StorageLevel, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Log } from '../../dist/log.js'
import { settle } from '../support/contexts.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-recovery-'))
})
afterEach(async () => {
  await StreamingContext.getActive()?.stop()
  await rm(directory, { recursive: true, force: true })
})

class Hand extends Receiver<string> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {}
  onStop(): void {}
  /** Stores the records as one block. */
  give(...records: string[]): Promise<void> {
    return this.storeBlock(records)
  }
}

interface Run {
  readonly ssc: StreamingContext
  readonly hand: Hand
  readonly clock: ManualClock
  /** What each batch brought, in the order the batches ran. */
  readonly batches: [number, string[]][]
  nextBatch(): Promise<void>
}

type Describe = (run: Omit<Run, 'nextBatch'>) => void

/** A run of one job on the directory; `describe` adds to its graph. */
async function start(
  now: number,
  options: { conf?: Record<string, unknown>; describe?: Describe; batchInterval?: number; name?: string } = {},
): Promise<Run> {
  const clock = new ManualClock(now)
  const hand = new Hand()
  const ssc = new StreamingContext(
    { appName: options.name ?? 'job', batchInterval: options.batchInterval ?? 1000, conf: options.conf ?? {} },
    { clock, log: new Log('silent') },
  )
  ssc.checkpoint(directory)
  const batches: [number, string[]][] = []
  const run = { ssc, hand, clock, batches }
  if (options.describe === undefined) {
    ssc.receiverStream(hand).foreachRDD(async (rdd, time) => {
      batches.push([time, await rdd.collect()])
    })
  } else options.describe(run)
  await ssc.start()
  await settle()
  await ssc.batchesFinished()
  return {
    ...run,
    async nextBatch() {
      clock.advance(options.batchInterval ?? 1000)
      await settle()
      await ssc.batchesFinished()
    },
  }
}

describe('a job that starts again on its checkpoint directory', () => {
  it('processes what was received and in no batch yet, once', async () => {
    const first = await start(0)
    await first.hand.give('a', 'b')
    await first.nextBatch()
    await first.hand.give('c')
    await first.hand.give('d')
    await first.ssc.stop()
    expect(first.batches).toEqual([[1000, ['a', 'b']]])
    const second = await start(1500)
    await second.hand.give('e')
    await second.nextBatch()
    await second.nextBatch()
    expect(second.batches).toEqual([
      [2000, ['c', 'd', 'e']],
      [3000, []],
    ])
  })

  it('runs a failed batch again, at its own time and with the same blocks, before anything new', async () => {
    let isBroken = true
    const seen: [number, string[]][] = []
    const describeJob: Describe = ({ ssc, hand }) =>
      ssc.receiverStream(hand).foreachRDD(async (rdd, time) => {
        const records = await rdd.collect()
        if (isBroken && records.includes('poison')) throw new Error('cannot do it')
        seen.push([time, records])
      })
    const first = await start(0, { describe: describeJob })
    await first.hand.give('fine')
    await first.nextBatch()
    await first.hand.give('poison')
    await first.nextBatch()
    await expect(first.ssc.awaitTermination()).rejects.toMatchObject({ code: 'BATCH_FAILED' })
    isBroken = false
    const second = await start(10_000, { describe: describeJob })
    await second.hand.give('later')
    await second.nextBatch()
    expect(seen).toEqual([
      [1000, ['fine']],
      [2000, ['poison']],
      [11_000, ['later']],
    ])
  })

  it('gives each missed batch time its batch when asked to, as Spark does', async () => {
    const first = await start(0)
    await first.nextBatch()
    await first.hand.give('waits')
    await first.ssc.stop()
    const second = await start(4500, { conf: { 'millrace.recovery.downtime': 'each' } })
    await second.nextBatch()
    expect(second.batches).toEqual([
      [2000, ['waits']],
      [3000, []],
      [4000, []],
      [5000, []],
    ])
  })

  it('goes on with a window as if nothing had happened', async () => {
    const describeJob: Describe = ({ ssc, hand, batches }) =>
      ssc
        .receiverStream(hand)
        .window(3000)
        .foreachRDD(async (rdd, time) => {
          batches.push([time, await rdd.collect()])
        })
    const first = await start(0, { describe: describeJob })
    for (const record of ['a', 'b', 'c']) {
      await first.hand.give(record)
      await first.nextBatch()
    }
    await first.ssc.stop()
    const second = await start(3000, { describe: describeJob })
    await second.hand.give('d')
    await second.nextBatch()
    await second.nextBatch()
    expect(second.batches).toEqual([
      [4000, ['b', 'c', 'd']],
      [5000, ['c', 'd']],
    ])
  })

  it('does not give a block id twice', async () => {
    const first = await start(0)
    await first.hand.give('a')
    await first.ssc.stop()
    const second = await start(0)
    await second.hand.give('b')
    await second.nextBatch()
    expect(second.batches).toEqual([[1000, ['a', 'b']]])
  })

  it('never gives a batch a time that an earlier run used, even when the clock went back', async () => {
    const first = await start(50_000)
    await first.nextBatch()
    await first.ssc.stop()
    const second = await start(20_000)
    await second.hand.give('x')
    for (let i = 0; i < 32; i++) await second.nextBatch()
    expect(second.batches).toEqual([[52_000, ['x']]])
  })

  it('lets go of segments whose batches are done', async () => {
    const run = await start(0)
    const block = Array.from({ length: 20_000 }, (_, i) => `${'x'.repeat(990)}${i}`)
    for (let i = 0; i < 12; i++) {
      await run.hand.give(...block)
      await run.nextBatch()
    }
    const log = join(directory, 'log')
    const sizes = await Promise.all((await readdir(log)).map(async (name) => (await stat(join(log, name))).size))
    // 240 MB went through; what is kept is the segment being written and at most the one before.
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(150e6)
    await run.ssc.stop()
    const again = await start(20_000)
    await again.nextBatch()
    expect(again.batches).toEqual([[21_000, []]])
  })
})

describe('a checkpoint directory', () => {
  it('is refused while another context uses it', async () => {
    await start(0)
    const { Checkpoint } = await import('../../dist/scheduler/checkpoint.js')
    const options = { directory, sync: 'always' as const, job: 'job', batchMs: 1000, onError: () => {} }
    await expect(Checkpoint.open(options)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' })
  })

  it('is refused to another job and to another batch interval', async () => {
    const first = await start(0)
    await first.ssc.stop()
    await expect(start(0, { name: 'other' })).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' })
    await expect(start(0, { batchInterval: 500 })).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' })
    const again = await start(0)
    expect(again.ssc.getState()).toBe('ACTIVE')
  })

  it('is needed when the log is asked for', async () => {
    const ssc = new StreamingContext({
      appName: 'job',
      batchInterval: 1000,
      conf: { 'spark.streaming.receiver.writeAheadLog.enable': true },
    })
    ssc.queueStream([[1]]).print()
    await expect(ssc.start()).rejects.toMatchObject({ code: 'CHECKPOINT_DIRECTORY_REQUIRED' })
  })

  it('is used by getOrCreate, which describes the graph in either case', async () => {
    for (const expected of [[['a']], [['b']]]) {
      const hand = new Hand()
      const batches: string[][] = []
      const clock = new ManualClock(expected[0]![0] === 'a' ? 0 : 1000)
      const ssc = await StreamingContext.getOrCreate(directory, () => {
        const made = new StreamingContext({ appName: 'job', batchInterval: 1000 }, { clock, log: new Log('silent') })
        made.receiverStream(hand).foreachRDD(async (rdd) => {
          batches.push(await rdd.collect())
        })
        return made
      })
      await ssc.start()
      if (expected[0]![0] === 'a') await hand.give('a')
      clock.advance(1000)
      await settle()
      await ssc.batchesFinished()
      if (expected[0]![0] === 'a') await hand.give('b')
      await ssc.stop()
      expect(batches).toEqual(expected)
    }
  })
})
