/** What follows when a batch fails, and how a context stops. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MillraceError, StreamingContext } from 'millrace'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { settle } from '../support/contexts.js'
import { type Describe, type StartOptions, startOn } from '../support/durable-job.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-policy-'))
})
afterEach(async () => {
  await StreamingContext.getActive()?.stop()
  await rm(directory, { recursive: true, force: true })
})

const start = (options: StartOptions = {}, now = 0) => startOn(directory, now, options)

/** A job that fails on the record `poison`, as often as `failures` says. */
function failing(failures: { left: number }, calls: string[] = []): Describe {
  return ({ ssc, hand, batches }) => {
    const words = ssc.receiverStream(hand).map((word) => {
      if (word !== 'poison') return word
      calls.push(word)
      if (failures.left-- > 0) throw new Error('poison')
      return 'cured'
    })
    const totals = words
      .map((word) => [word, 1])
      .updateStateByKey((values, total: number | null) => (total ?? 0) + values.length)
    totals.foreachRDD(async (rdd, time) => {
      batches.push([time, (await rdd.collect()).map(String).sort()])
    })
  }
}

describe('after a failed batch', () => {
  it('the policy retry runs it again until it succeeds', async () => {
    const calls: string[] = []
    const conf = { 'millrace.batch.failurePolicy': 'retry', 'millrace.batch.maxRetries': 3 }
    const run = await start({ conf, describe: failing({ left: 3 }, calls) })
    await run.hand.give('a', 'poison')
    await run.nextBatch()
    expect(run.batches).toEqual([[1000, ['a,1', 'cured,1']]])
    expect(calls).toHaveLength(4)
  })

  it('the policy retry stops the job when the retries are used up; the batch is not counted as processed', async () => {
    const conf = { 'millrace.batch.failurePolicy': 'retry', 'millrace.batch.maxRetries': 2 }
    const run = await start({ conf, describe: failing({ left: 3 }) })
    await run.hand.give('poison')
    await run.nextBatch()
    await expect(run.ssc.awaitTermination()).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      details: { batchTime: 1000 },
    })
    expect(await run.ssc.stop()).toMatchObject({ completedBatches: 0, unfinishedBatches: 1, hasUnprocessedInput: true })
    const again = await start({ describe: failing({ left: 0 }) }, 2000)
    expect(again.batches).toEqual([[1000, ['cured,1']]])
  })

  it('the policy skip leaves it out of state and output, records it, and goes on', async () => {
    const conf = { 'millrace.batch.failurePolicy': 'skip' }
    const describeJob = failing({ left: Number.POSITIVE_INFINITY })
    const run = await start({ conf, describe: describeJob })
    await run.hand.give('a')
    await run.nextBatch()
    await run.hand.give('b', 'poison')
    await run.nextBatch()
    await run.hand.give('a', 'c')
    await run.nextBatch()
    const expected = [
      [1000, ['a,1']],
      [3000, ['a,2', 'c,1']],
    ]
    expect(run.batches).toEqual(expected)
    const letter = JSON.parse(await readFile(join(directory, 'dead-letters', 'batch-2000.json'), 'utf8'))
    expect(letter).toMatchObject({
      batchTime: 2000,
      numRecords: 2,
      outputs: [{ id: 0, name: 'foreachRDD' }],
      error: { code: 'BATCH_FAILED' },
    })
    expect(await run.ssc.stop()).toMatchObject({ completedBatches: 2, skippedBatches: 1, unfinishedBatches: 0 })
    const again = await start({ conf, describe: describeJob }, 3001)
    await again.nextBatch()
    expect(again.batches).toEqual([[4000, ['a,2', 'c,1']]])
  })

  it.each([
    [
      'retry',
      [
        [1000, ['a']],
        [2000, ['b']],
      ],
      { completedBatches: 2, skippedBatches: 0 },
    ],
    ['skip', [[1000, ['a']]], { completedBatches: 1, skippedBatches: 1 }],
  ])(
    'the policy %s holds for the function of transform, which runs when the batch is made',
    async (policy, expected, result) => {
      let failures = 1
      const describeJob: Describe = ({ ssc, hand, batches }) => {
        const words = ssc.receiverStream(hand).transform((rdd, time) => {
          if (time === 2000 && failures-- > 0) throw new Error('not now')
          return rdd
        })
        words.foreachRDD(async (rdd, time) => void batches.push([time, await rdd.collect()]))
      }
      const run = await start({ conf: { 'millrace.batch.failurePolicy': policy }, describe: describeJob })
      for (const word of ['a', 'b']) {
        await run.hand.give(word)
        await run.nextBatch()
      }
      expect(run.batches).toEqual(expected)
      expect(await run.ssc.stop()).toMatchObject(result)
    },
  )

  it('the policy skip makes batches that waited behind the failed one without it', async () => {
    const conf = { 'millrace.batch.failurePolicy': 'skip' }
    const run = await start({ conf, describe: failing({ left: Number.POSITIVE_INFINITY }) })
    await run.hand.give('poison')
    // Two batches are generated before the first of them runs.
    run.clock.advance(1000)
    await run.hand.give('a')
    run.clock.advance(1000)
    await settle()
    await run.ssc.batchesFinished()
    expect(run.batches).toEqual([[2000, ['a,1']]])
  })
})

describe('the error of a poisoned record', () => {
  const failOn = async (records: string[]): Promise<MillraceError> => {
    const run = await start({
      describe: ({ ssc, hand }) => {
        const parsed = ssc.receiverStream(hand).map((text) => JSON.parse(text) as { bad?: boolean })
        const checked = parsed.map((record) => {
          if (record.bad === true) throw new Error('this one is bad')
          return record
        })
        checked.named('checked').foreachRDD(async (rdd) => void (await rdd.collect()))
      },
    })
    await run.hand.give('{}')
    for (const record of records) await run.hand.give(record)
    await run.nextBatch()
    return (await run.ssc.awaitTermination().catch((error: unknown) => error)) as MillraceError
  }

  it('names batch, output, partition, operator and record', async () => {
    // The record as it came into the partition's operations: a line.
    const bad = '{"n":2,"bad":true}'
    const error = await failOn(['{"n":1}', bad])
    expect(error).toMatchObject({
      code: 'BATCH_FAILED',
      details: { batchTime: 1000, outputId: 0, partition: 0, operator: 'checked', record: JSON.stringify(bad) },
    })
    expect(error.message).toContain('Batch 1000 failed in output 0 (foreachRDD)')
    expect(error.message).toContain('partition 0')
    expect(error.message).toContain(`Operator checked failed on record ${JSON.stringify(bad)}: this one is bad`)
  })

  it('shows at most 200 characters of the record, and no secrets', async () => {
    const record = {
      bad: true,
      apiToken: 'XYZZY-1',
      user: { password: 'XYZZY-2', name: 'ann' },
      text: 'x'.repeat(1000),
    }
    const error = await failOn([JSON.stringify(record)])
    const shown = JSON.stringify('"apiToken":"(hidden)","user":{"password":"(hidden)","name":"ann"}').slice(1, -1)
    expect(error.message).toContain(shown)
    expect(error.message).not.toContain('XYZZY')
    expect(error.message.length).toBeLessThan(500)
    const text = await failOnText('{"password": "XYZZY-3", broken')
    expect(text.message).not.toContain('XYZZY')
  })

  /** A function that is given lines fails on one. */
  async function failOnText(line: string): Promise<MillraceError> {
    await rm(directory, { recursive: true })
    const run = await start({
      describe: ({ ssc, hand }) => {
        const failing = ssc.receiverStream(hand).map((): string => {
          throw new Error('no')
        })
        failing.foreachRDD(async (rdd) => void (await rdd.collect()))
      },
    })
    await run.hand.give(line)
    await run.nextBatch()
    return (await run.ssc.awaitTermination().catch((error: unknown) => error)) as MillraceError
  }
})

describe('a graceful stop', () => {
  it('says that it did everything', async () => {
    const run = await start()
    await run.hand.give('a')
    expect(await run.ssc.stop({ graceful: true })).toEqual({
      graceful: true,
      timedOut: false,
      completedBatches: 1,
      skippedBatches: 0,
      unfinishedBatches: 0,
      hasUnprocessedInput: false,
    })
    expect(run.batches).toEqual([[1000, ['a']]])
  })

  it('gives up at its deadline, says so, and what is left runs at the next start', async () => {
    let release = (): void => {}
    let begun = (): void => {}
    const isRunning = new Promise<void>((resolve) => (begun = resolve))
    const done: [number, string[]][] = []
    const describeJob: Describe = ({ ssc, hand }) =>
      ssc.receiverStream(hand).foreachRDD(async (rdd, time) => {
        const records = await rdd.collect()
        if (records.includes('slow')) {
          begun()
          await new Promise<void>((resolve) => (release = resolve))
        }
        done.push([time, records])
      })
    const run = await start({ describe: describeJob, conf: { 'spark.streaming.gracefulStopTimeout': '20ms' } })
    await run.hand.give('slow')
    run.clock.advance(1000)
    await run.hand.give('waits')
    run.clock.advance(1000)
    await isRunning
    const stopping = run.ssc.stop({ graceful: true })
    // The batch that runs is finished even after the deadline.
    await new Promise((resolve) => setTimeout(resolve, 100))
    release()
    expect(await stopping).toMatchObject({ graceful: false, timedOut: true, completedBatches: 1, unfinishedBatches: 1 })
    expect(done).toEqual([[1000, ['slow']]])
    const again = await start({ describe: describeJob }, 2000)
    expect(done).toEqual([
      [1000, ['slow']],
      [2000, ['waits']],
    ])
    await again.ssc.stop()
  })

  it.each([
    ['an output', true],
    ['a task', false],
  ])(
    'does not wait for ever for %s whose promise never settles (graceful: %s)',
    async (what, graceful) => {
      let hangs = true
      let begun = (): void => {}
      const isRunning = new Promise<void>((resolve) => (begun = resolve))
      const done: [number, string[]][] = []
      const never = (): Promise<void> => {
        begun()
        return hangs ? new Promise(() => {}) : Promise.resolve()
      }
      const describeJob: Describe = ({ ssc, hand }) =>
        ssc
          .receiverStream(hand)
          .mapPartitions(async (records) => {
            if (what === 'a task') await never()
            return records
          })
          .foreachRDD(async (rdd, time) => {
            const records = await rdd.collect()
            if (what === 'an output') await never()
            done.push([time, records])
          })
      const run = await start({ describe: describeJob, conf: { 'spark.streaming.gracefulStopTimeout': '20ms' } })
      await run.hand.give('stuck')
      run.clock.advance(1000)
      await isRunning
      const result = await run.ssc.stop({ graceful })
      expect(result).toMatchObject({ graceful: false, timedOut: graceful, completedBatches: 0, unfinishedBatches: 1 })
      hangs = false
      const again = await start({ describe: describeJob }, 1000)
      expect(done).toEqual([[1000, ['stuck']]])
      await again.ssc.stop()
    },
    30_000,
  )
})
