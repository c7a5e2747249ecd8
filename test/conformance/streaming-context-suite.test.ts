/** Spark's StreamingContextSuite: the life of a context. Each test is named for its vector. */
import { join } from 'node:path'
import { type Receiver, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { corruptLog } from '../support/corruption.js'
import { CountingReceiver } from '../support/counting-receiver.js'
import { millraceError } from '../support/errors.js'
import { manualContext, temporaryDirectory } from '../support/streams.js'
import { expectedOf } from '../support/vectors.js'

const suite = (name: string): string => `streamingcontextsuite/${name}`

function context(conf: Record<string, unknown> = {}, clock = new ManualClock()): StreamingContext {
  const ssc = new StreamingContext({ appName: 'suite', batchInterval: 500, conf }, { clock })
  ssc.constantStream(ssc.sparkContext.parallelize([1])).foreachRDD(() => {})
  return ssc
}

afterEach(async () => {
  await StreamingContext.getActive()?.stop()
})

describe('Spark StreamingContextSuite', () => {
  test(suite('start-and-stop-state-check'), async () => {
    const ssc = context()
    const seen: unknown[] = [ssc.getState()]
    await ssc.start()
    seen.push(ssc.getState())
    await ssc.stop()
    seen.push(ssc.getState())
    const used = ssc.sparkContext.parallelize([1]).count()
    seen.push(
      await used.then(
        () => 'works',
        (error) => (millraceError('CONTEXT_STOPPED')(error) ? 'throws' : error),
      ),
    )
    expect(seen).toEqual(expectedOf(suite('start-and-stop-state-check')).flat())
  })

  test(suite('start-multiple-times'), async () => {
    const ssc = context()
    const states: string[] = []
    for (let i = 0; i < 2; i++) {
      await ssc.start()
      states.push(ssc.getState())
    }
    expect(states).toEqual(expectedOf(suite('start-multiple-times')).flat())
  })

  test(suite('stop-before-start'), async () => {
    const ssc = context()
    await ssc.stop()
    expect([ssc.getState()]).toEqual(expectedOf(suite('stop-before-start')).flat())
  })

  test(suite('start-after-stop'), async () => {
    const ssc = context()
    await ssc.stop()
    const [[stopped], [, afterwards]] = expectedOf(suite('start-after-stop')) as [[string], [string, string]]
    expect(ssc.getState()).toBe(stopped)
    await expect(ssc.start()).rejects.toSatisfy(millraceError('CONTEXT_STOPPED'))
    expect(ssc.getState()).toBe(afterwards)
  })

  test(suite('stop-only-streaming-context'), async () => {
    const results: unknown[] = []
    for (const [conf, options] of [
      [{}, { stopSparkContext: false }],
      [{ 'spark.streaming.stopSparkContextByDefault': false }, {}],
    ] as const) {
      const ssc = context(conf)
      await ssc.start()
      await ssc.stop(options)
      results.push([ssc.getState(), await ssc.sparkContext.range(1, 101).count()])
      // The second stop may still take the rest away.
      await ssc.stop({ stopSparkContext: true })
      await expect(ssc.sparkContext.range(1).count()).rejects.toSatisfy(millraceError('CONTEXT_STOPPED'))
    }
    expect(results).toEqual(expectedOf(suite('stop-only-streaming-context')))
  })

  test(suite('multiple-streaming-contexts'), async () => {
    const first = context()
    await first.start()
    expect([first.getState()]).toEqual(expectedOf(suite('multiple-streaming-contexts'))[0])
    const second = context()
    await expect(second.start()).rejects.toSatisfy(millraceError('CONTEXT_ALREADY_ACTIVE', /StreamingContext.*suite/))
    expect(StreamingContext.getActive()).toBe(first)
  })

  test(suite('awaittermination-with-error-in-task'), async () => {
    const { ssc, clock } = manualContext(500)
    ssc
      .queueStream([[1]])
      .map((): number => {
        throw new Error('error in map task')
      })
      .foreachRDD(async (rdd) => {
        await rdd.count()
      })
    await ssc.start()
    clock.advance(500)
    await expect(ssc.awaitTerminationOrTimeout('60s')).rejects.toThrow(/map task/)
    await expect(ssc.awaitTermination(), 'and again').rejects.toThrow(/map task/)
  })

  test(suite('awaittermination-with-error-in-job-generation'), async () => {
    const { ssc, clock } = manualContext(500)
    const thrown = new Error('error in transform')
    ssc
      .queueStream([[1]])
      .transform((): never => {
        throw thrown
      })
      .print()
    await ssc.start()
    clock.advance(500)
    const error = await ssc.awaitTerminationOrTimeout('60s').catch((error: unknown) => error)
    expect(error, 'the same exception').toBe(thrown)
  })

  test(suite('start-should-set-local-properties-of-streaming-jobs-correctly'), async () => {
    const { ssc, batches } = manualContext(500)
    const { sparkContext: sc } = ssc
    const seen: Record<string, unknown>[] = []
    ssc.queueStream([[1]]).foreachRDD(async (rdd) => {
      await rdd.count()
      seen.push({
        jobGroup: sc.getLocalProperty('spark.jobGroup.id'),
        description: sc.getLocalProperty('spark.job.description'),
        interruptOnCancel: sc.getLocalProperty('spark.job.interruptOnCancel'),
        customPropKey: sc.getLocalProperty('customPropKey'),
      })
      sc.setLocalProperty('customPropKey', 'of the batch')
    })
    sc.setJobGroup('non-streaming', 'description')
    sc.setLocalProperty('customPropKey', 'value1')
    await ssc.start()
    sc.setLocalProperty('customPropKey', 'value2')
    await batches(2)
    const [[expected]] = expectedOf(suite('start-should-set-local-properties-of-streaming-jobs-correctly')) as [
      [Record<string, string | null>],
    ]
    expect(seen).toHaveLength(2)
    for (const { description, ...others } of seen) {
      expect(description).toContain(expected.jobDescriptionContains)
      const { jobGroup, interruptOnCancel, customPropKey } = expected
      expect(others).toEqual({ jobGroup, interruptOnCancel, customPropKey })
    }
    expect(sc.getLocalProperty('customPropKey')).toBe(expected.callerThreadCustomPropKey)
    expect(sc.getLocalProperty('spark.jobGroup.id')).toBe('non-streaming')
  })

  test(suite('getorcreate'), async () => {
    const directory = join(temporaryDirectory(), 'checkpoint')
    let created = 0
    const clock = new ManualClock()
    const create = (): StreamingContext => {
      created++
      return context({}, clock)
    }
    const runOnce = async (options?: { createOnError: boolean }): Promise<string> => {
      const before = created
      const ssc = await StreamingContext.getOrCreate(directory, create, options)
      // Code is not in a checkpoint: the function describes the graph every time.
      expect(created).toBe(before + 1)
      try {
        await ssc.start()
        for (let batch = 0; batch < 3; batch++) {
          clock.advance(500)
          await ssc.batchesFinished()
        }
        return 'starts'
      } catch (error) {
        expect(error).toSatisfy(millraceError('LOG_CORRUPT'))
        return 'throws'
      } finally {
        await ssc.stop()
      }
    }
    expect(await runOnce(), 'empty path').toBe('starts')
    expect(await runOnce(), 'valid checkpoint').toBe('starts')
    await corruptLog(join(directory, 'log'))
    expect(await runOnce(), 'corrupted').toBe('throws')
    expect(await runOnce({ createOnError: false }), 'corrupted, createOnError false').toBe('throws')
    expect(await runOnce({ createOnError: true }), 'corrupted, createOnError true').toBe('starts')
    expect(await runOnce(), 'valid again').toBe('starts')
  })

  test(suite('getactive-and-getactiveorcreate'), async () => {
    expect(StreamingContext.getActive(), 'before start').toBeNull()
    const ssc = context()
    expect(StreamingContext.getActive()).toBeNull()
    await ssc.start()
    expect(StreamingContext.getActive()).toBe(ssc)
    expect(await StreamingContext.getActiveOrCreate(() => context())).toBe(ssc)
    expect(await StreamingContext.getActiveOrCreate('/nowhere', () => context())).toBe(ssc)
    await ssc.stop()
    expect(StreamingContext.getActive()).toBeNull()
    const other = context()
    expect(await StreamingContext.getActiveOrCreate(() => other)).toBe(other)
  })

  test(suite('stop-slow-receiver-gracefully'), async () => {
    const { records } = { records: 15 }
    const ssc = new StreamingContext({
      appName: 'slow',
      batchInterval: 100,
      conf: { 'spark.streaming.gracefulStopTimeout': '20000s' },
    })
    const receiver = new CountingReceiver(records, 20)
    let processed = 0
    ssc.receiverStream(receiver as Receiver<number>).foreachRDD(async (rdd) => {
      processed += await rdd.count()
    })
    await ssc.start()
    await receiver.begun
    const { graceful } = await ssc.stop({ graceful: true })
    expect([graceful, { processedRecords: processed }]).toEqual([
      true,
      expectedOf(suite('stop-slow-receiver-gracefully'))[0]![0],
    ])
  })

  test(suite('spark-22955-graceful-shutdown-shouldn-t-lead-to-job-generation-error'), async () => {
    const { ssc, clock } = manualContext(100)
    ssc.queueStream<number>([]).foreachRDD(async (rdd) => {
      await rdd.count()
    })
    await ssc.start()
    // The clock jumps far ahead; every missed tick is made up for, and the stop cuts that short without an error.
    clock.advance(100_000)
    await ssc.stop({ graceful: true })
    await ssc.awaitTermination()
    expect(ssc.getState()).toBe('STOPPED')
  })
})
