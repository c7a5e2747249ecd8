/** A job stopped without grace, or by a failing batch, and started again on its checkpoint directory. */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StateSpec, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Log } from '../../dist/log.js'
import { settle } from '../support/contexts.js'
import { type Describe, Hand, type StartOptions, startOn } from '../support/durable-job.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-recovery-'))
})
afterEach(async () => {
  await StreamingContext.getActive()?.stop()
  await rm(directory, { recursive: true, force: true })
})

const start = (now: number, options: StartOptions = {}) => startOn(directory, now, options)

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

  for (const downtime of ['one', 'each']) {
    it(`goes on with state as if nothing had happened, wherever it is stopped (missed times: ${downtime})`, async () => {
      // The same input in one run, and in runs cut after each number of batches; state is saved every second batch.
      const words = ['a b', 'a', '', 'b b', 'c a', 'a', 'b', 'c', 'a a a', 'b']
      const describeJob: Describe = ({ ssc, hand, batches }) => {
        const pairs = ssc
          .receiverStream(hand)
          .flatMap((line) => line.split(' ').filter((word) => word !== ''))
          .map((word) => [word, 1])
        const totals = pairs.updateStateByKey((values, total: number | null) =>
          values.reduce((sum, value) => sum + value, total ?? 0),
        )
        totals.checkpoint(2000)
        const numbered = pairs.mapWithState(
          StateSpec.function((word: string, _one: number | null, state) => {
            state.update(((state.getOption() as number | null) ?? 0) + 1)
            return `${word}${state.get()}`
          }),
        )
        numbered.checkpoint(2000)
        const window = pairs.reduceByKeyAndWindow(
          (x, y) => x + y,
          (x, y) => x - y,
          3000,
        )
        window.checkpoint(2000)
        const outputs = [totals, numbered, window] as const
        for (const [index, stream] of outputs.entries()) {
          ;(stream as typeof totals).foreachRDD(async (rdd, time) => {
            batches.push([time, [String(index), ...(await rdd.collect()).map(String).sort()]])
          })
        }
      }
      const run = async (cuts: readonly number[]): Promise<[number, string[]][]> => {
        const seen: [number, string[]][] = []
        let at = 0
        for (const cut of [...cuts, words.length]) {
          const part = await start(at * 1000 + 1, {
            describe: describeJob,
            conf: { 'millrace.recovery.downtime': downtime },
          })
          for (; at < cut; at++) {
            if (words[at] !== '') await part.hand.give(words[at]!)
            await part.nextBatch()
          }
          await part.ssc.stop()
          seen.push(...part.batches)
        }
        return seen
      }
      const expected = await run([])
      for (const cuts of [[1], [4], [5], [9], [2, 3, 6], [3, 4, 5, 6, 7]]) {
        await rm(directory, { recursive: true })
        expect(await run(cuts), `cut at ${cuts}`).toEqual(expected)
      }
    })
  }

  it('keeps state over a long time of nobody there without computing what was not', async () => {
    const describeJob: Describe = ({ ssc, hand, batches }) => {
      const totals = ssc
        .receiverStream(hand)
        .map((word) => [word, 1])
        .updateStateByKey((values, total: number | null) => (total ?? 0) + values.length)
      totals.foreachRDD(async (rdd, time) => {
        batches.push([time, (await rdd.collect()).map(String)])
      })
    }
    const first = await start(0, { describe: describeJob })
    await first.hand.give('a', 'a')
    await first.nextBatch()
    await first.ssc.stop()
    const year = 365 * 86_400_000
    const second = await start(year, { describe: describeJob })
    await second.hand.give('a')
    await second.nextBatch()
    await second.ssc.stop()
    const third = await start(2 * year, { describe: describeJob })
    await third.nextBatch()
    expect([...second.batches, ...third.batches]).toEqual([
      [year + 1000, ['a,3']],
      [2 * year + 1000, ['a,3']],
    ])
  })

  it('takes state under its name into changed code, and says which operator has lost its state', async () => {
    const counting =
      (name: string, factor: number): Describe =>
      ({ ssc, hand, batches }) => {
        const words = ssc.receiverStream(hand).filter((word) => word !== '')
        const pairs =
          factor === 1 ? words.map((word) => [word, 1]) : words.map((word) => word).map((word) => [word, factor])
        const totals = pairs
          .updateStateByKey((values, total: number | null) => values.reduce((sum, value) => sum + value, total ?? 0))
          .named(name)
        totals.checkpoint(1000)
        totals.foreachRDD(async (rdd, time) => {
          batches.push([time, (await rdd.collect()).map(String)])
        })
      }
    const first = await start(0, { describe: counting('totals', 1) })
    await first.hand.give('a', 'a')
    await first.nextBatch()
    await first.ssc.stop()
    const second = await start(1001, { describe: counting('totals', 10) })
    await second.hand.give('a')
    await second.nextBatch()
    await second.ssc.stop()
    expect(second.batches).toEqual([[2000, ['a,12']]])
    await expect(start(2001, { describe: counting('sums', 1) })).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      details: { operator: 'totals', known: ['sums'] },
    })
  })

  it('is refused when an operator has become another operation', async () => {
    const totals: Describe = ({ ssc, hand }) => {
      const pairs = ssc.receiverStream(hand).map((word) => [word, 1])
      pairs
        .updateStateByKey((ones, total: number | null) => (total ?? 0) + ones.length)
        .named('totals')
        .foreachRDD(() => {})
    }
    const mapped: Describe = ({ ssc, hand }) => {
      const pairs = ssc.receiverStream(hand).map((word) => [word, 1])
      pairs
        .mapWithState(StateSpec.function((key) => key))
        .named('totals')
        .foreachRDD(() => {})
    }
    const first = await start(0, { describe: totals })
    await first.hand.give('a')
    await first.nextBatch()
    await first.ssc.stop({ graceful: true })
    await expect(start(1001, { describe: mapped })).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      details: { operator: 'totals', expected: 'updateStateByKey', found: 'mapWithState' },
    })
  })

  it('is refused while input waits for a stream that the job no longer has', async () => {
    const removed = new Hand()
    const first = await start(0, {
      describe: ({ ssc, hand }) => {
        ssc.receiverStream(hand).print()
        ssc.receiverStream(removed).print()
      },
    })
    await removed.give('acknowledged')
    await first.ssc.stop()
    await expect(start(1)).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH', details: { stream: 1 } })
  })

  describe('is refused when another stream would get what one had received', () => {
    const streams =
      (...names: (string | null)[]): Describe =>
      ({ ssc, hand, batches }) => {
        for (const [n, name] of names.entries()) {
          const stream = ssc.receiverStream(name === 'plant' ? hand : new Hand())
          if (name !== null) stream.named(name)
          stream.foreachRDD(async (rdd, time) => void batches.push([time, [n, ...(await rdd.collect())].map(String)]))
        }
      }

    it('in front of a named one', async () => {
      const first = await start(0, { describe: streams('plant') })
      await first.hand.give('acknowledged')
      await first.ssc.stop()
      await expect(start(1, { describe: streams('lab', 'plant') })).rejects.toMatchObject({
        code: 'CHECKPOINT_MISMATCH',
        message: expect.stringMatching(/of input stream 0 \(plant\), and this job has lab in its place/),
        details: { stream: 0 },
      })
      const second = await start(2, { describe: streams('plant', 'lab') })
      await second.nextBatch()
      expect(second.batches).toContainEqual([1000, ['0', 'acknowledged']])
    })

    it('and not when nothing of it is left', async () => {
      const first = await start(0, { describe: streams('plant') })
      await first.hand.give('acknowledged')
      await first.ssc.stop({ graceful: true })
      expect(first.batches).toEqual([[1000, ['0', 'acknowledged']]])
      const second = await start(1, { describe: streams('lab', 'plant') })
      expect(second.ssc.getState()).toBe('ACTIVE')
    })

    it('nor when a stream gets its name only now', async () => {
      const first = await start(0, { describe: ({ ssc, hand }) => ssc.receiverStream(hand).print() })
      await first.hand.give('acknowledged')
      await first.ssc.stop()
      const second = await start(1, { describe: streams('plant') })
      await second.nextBatch()
      expect(second.batches).toEqual([[1000, ['0', 'acknowledged']]])
    })
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

  for (const graceful of [true, false]) {
    it(`can be stopped ${graceful ? 'in order' : 'at once'} while it still takes up the batches of the last run`, async () => {
      const seen: [number, string[]][] = []
      let isBroken = true
      const describeJob: Describe = ({ ssc, hand }) =>
        ssc.receiverStream(hand).foreachRDD(async (rdd, time) => {
          if (isBroken) throw new Error('not now')
          seen.push([time, await rdd.collect()])
        })
      const first = await start(0, { describe: describeJob })
      await first.hand.give('a', 'b')
      first.clock.advance(1000)
      await first.hand.give('c')
      first.clock.advance(1000)
      await first.ssc.awaitTermination().catch(() => {})
      isBroken = false
      const clock = new ManualClock(5000)
      const log: string[] = []
      const ssc = new StreamingContext(
        { appName: 'job', batchInterval: 1000 },
        { clock, log: new Log('error', {}, (line) => log.push(line)) },
      )
      ssc.checkpoint(directory)
      const hand = new Hand()
      describeJob({ ssc, hand, clock, batches: [] })
      const starting = ssc.start()
      // Somewhere in the start: the directory is opened, or batches are made again.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      await ssc.stop({ graceful })
      await starting
      await ssc.awaitTermination()
      expect(log).toEqual([])
      // It was never given to anyone who could start it.
      expect(() => hand.isStarted()).toThrow(/before the receiver was started/)
      await start(6000, { describe: describeJob })
      expect(seen.flatMap(([, records]) => records)).toEqual(['a', 'b', 'c'])
    })
  }

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
    // 240 MB went through; what is kept is 64 MiB for `millrace replay`, in whole segments, and the segment being written.
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(200e6)
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
    const retain = { ms: 0, bytes: 0 }
    const options = {
      directory,
      sync: 'always' as const,
      job: 'job',
      file: null,
      parallelism: () => 1,
      batchMs: 1000,
      retain,
      onError: () => {},
    }
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

  it.each([
    ['a file in the place of its log', async () => writeFile(join(directory, 'log'), ''), 'EEXIST'],
    [
      'a directory in the place of a segment',
      async () => mkdir(join(directory, 'log', 'log-0000000001.mlog'), { recursive: true }),
      'EISDIR',
    ],
    [
      'a file in the place of its state',
      async () => {
        await mkdir(join(directory, 'log'))
        await writeFile(join(directory, 'state'), '')
      },
      'ENOTDIR',
    ],
  ])('is refused with %s, and not put aside', async (_, spoil, reason) => {
    await spoil()
    const before = await readdir(directory)
    const ssc = new StreamingContext({ appName: 'job', batchInterval: 1000 }, { log: new Log('silent') })
    ssc.checkpoint(directory, { createOnError: true })
    ssc.queueStream([[1]]).print()
    await expect(ssc.start()).rejects.toMatchObject({
      code: 'CHECKPOINT_UNAVAILABLE',
      message: expect.stringContaining(reason),
    })
    expect(await readdir(directory)).toEqual(before)
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
