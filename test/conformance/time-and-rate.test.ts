/** Spark's expectations of time, timers and rates. Every vector of these kinds. */
import { Receiver, StorageLevel, Time } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { Conf } from '../../dist/conf.js'
import { backPressure, initialRate } from '../../dist/durability.js'
import type { Engine } from '../../dist/engine/engine.js'
import { TimerClock } from '../../dist/engine/timer-clock.js'
import { PidRateEstimator } from '../../dist/receiver/rate-control.js'
import { settle } from '../support/contexts.js'
import { millraceError } from '../support/errors.js'
import { manualContext } from '../support/streams.js'
import { expectedOf, vectorOf, vectors } from '../support/vectors.js'

const ofKind = (kind: string) => vectors.filter((vector) => vector.kind === kind).map((v) => [v.id, v] as const)

describe('Time and durations', () => {
  test.each(ofKind('time'))('%s', (_, { op, input, expected }) => {
    const compute: Record<string, (a: number, b: number, c: number) => number[]> = {
      'Time.to': (from, to, step) => Time.to(from, to, step),
      'Time.until': (from, to, step) => Time.until(from, to, step),
      'Time.floor': (time, duration, zero) => [Time.floor(time, duration, zero)],
      // Durations are numbers: Spark's operations on them are the language's.
      'Duration.times': (ms, times) => [ms * times],
    }
    expect((input as [number, number, number][]).map((row) => compute[op]!(...row))).toEqual(expected)
  })
})

describe('the recurring timer', () => {
  async function started(periodMs: number) {
    const clock = new ManualClock(0)
    const timer = new TimerClock(clock)
    const ticks: number[] = []
    timer.start(0, periodMs, async (time) => {
      ticks.push(time)
    })
    const at = async (ms: number): Promise<number[]> => {
      clock.advance(ms)
      await timer.settled()
      return [...ticks]
    }
    return { timer, at, ticks }
  }

  test('recurringtimersuite/basic', async () => {
    const { timer, at } = await started(100)
    const seen = [await at(0), await at(100), await at(200), [await timer.stop()]]
    expect(seen).toEqual(expectedOf('recurringtimersuite/basic'))
  })

  test('recurringtimersuite/spark-10224-call-callback-after-stopping (different: a stop ends it, what waits gets a batch early)', async () => {
    const { timer, at, ticks } = await started(100)
    const [first] = expectedOf('recurringtimersuite/spark-10224-call-callback-after-stopping')
    expect(await at(0)).toEqual(first)
    expect(await timer.stop()).toBe(0)
    expect(await at(200)).toEqual([0])
    expect(ticks).toEqual([0])
    // Spark lets the timer fire once more so that the last data gets a batch; here that batch comes at once.
    const { ssc, clock } = manualContext(1000)
    const receiver = new (class extends Receiver<number> {
      constructor() {
        super(StorageLevel.MEMORY_ONLY)
      }
      onStart(): void {}
      onStop(): void {}
    })()
    const batches: [number, number[]][] = []
    ssc.receiverStream(receiver).foreachRDD(async (rdd, time) => {
      batches.push([time, await rdd.collect()])
    })
    await ssc.start()
    await settle()
    clock.advance(1000)
    await ssc.batchesFinished()
    await receiver.storeBlock([7])
    await ssc.stop({ graceful: true })
    expect(batches).toEqual([
      [1000, []],
      [2000, [7]],
    ])
  })
})

describe('the rate estimator', () => {
  test.each(ofKind('pid'))('%s', (_, { params, input, expected }) => {
    const { batchMs, ...weights } = params as never as { batchMs: number }
    const estimator = new PidRateEstimator({ batchIntervalMs: batchMs, ...weights })
    const rates = (input as number[][]).map(([time, records, processingDelayMs, schedulingDelayMs]) => [
      estimator.compute({
        time: time!,
        records: records!,
        processingDelayMs: processingDelayMs!,
        schedulingDelayMs: schedulingDelayMs!,
      }),
    ])
    expect(rates).toEqual(expected)
  })

  test('pidrateestimatorsuite/estimator-checks-ranges', () => {
    const { input, expected } = vectorOf('pidrateestimatorsuite/estimator-checks-ranges')
    const refused = (input as number[][]).map(([batchIntervalMs, proportional, integral, derivative, minRate]) => {
      try {
        new PidRateEstimator({
          batchIntervalMs: batchIntervalMs!,
          proportional: proportional!,
          integral: integral!,
          derivative: derivative!,
          minRate: minRate!,
        })
        return ['accepted']
      } catch (error) {
        return millraceError('ILLEGAL_ARGUMENT')(error) ? ['IllegalArgumentException'] : [error]
      }
    })
    expect(refused).toEqual(expected)
  })
})

/** The rate limits a receiver is given after batches that ran at `rate` records a second. */
function limits(settings: Record<string, unknown>, rate: number): number[] {
  const conf = Conf.from({ 'spark.streaming.backpressure.enabled': true, ...settings })
  const given: number[] = []
  const receivers = { setRate: (_stream: number, limit: number) => given.push(limit) }
  const pressure = backPressure(conf, 1000, { receivers } as never as Engine)!
  for (let batch = 1; batch <= 3; batch++) {
    pressure.onBatchCompleted({
      batchTime: batch * 1000,
      inputs: [{ streamId: 0, numRecords: rate }],
      numRecords: rate,
      submissionTime: batch * 1000,
      processingStartTime: batch * 1000,
      processingEndTime: (batch + 1) * 1000,
      schedulingDelay: 0,
      processingDelay: 1000,
      totalDelay: 1000,
      outputOperations: [],
    } as never)
  }
  return given
}

describe('the rate limit', () => {
  test.each(ofKind('rateLimiter'))('%s', (_, { params, input, expected }) => {
    const { maxRate } = params as never as { maxRate: number | null }
    const conf = maxRate === null ? {} : { 'spark.streaming.receiver.maxRate': maxRate }
    expect(initialRate(Conf.from(conf))).toBe(maxRate)
    expect((input as number[][]).map(([rate]) => [limits(conf, rate!).at(-1)])).toEqual(expected)
  })

  test('ratecontrollersuite/ratecontroller-rate-controller-publishes-updates-after-batches-complete', () => {
    expect(limits({}, 100)).toEqual([100, 100])
  })
})
