import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PidRateEstimator, RateController } from '../../src/receiver/rate-control.js'

interface Vector {
  readonly kind: string
  readonly name: string
  readonly params: { batchMs: number; proportional: number; integral: number; derivative: number; minRate: number }
  readonly input: readonly (readonly [number, number, number, number])[]
  readonly expected: readonly (readonly [number | null])[]
}

const file = new URL('../conformance/spark-vectors.json', import.meta.url)
const vectors = (JSON.parse(readFileSync(file, 'utf8')) as Vector[]).filter(({ kind }) => kind === 'pid')

describe("the rate estimator gives Spark's numbers", () => {
  it('and there are vectors to compare with', () => expect(vectors.length).toBeGreaterThan(3))

  for (const { name, params, input, expected } of vectors) {
    it(name, () => {
      const { batchMs, ...weights } = params
      const estimator = new PidRateEstimator({ batchIntervalMs: batchMs, ...weights })
      const rates = input.map(([time, records, processingDelayMs, schedulingDelayMs]) => [
        estimator.compute({ time, records, processingDelayMs, schedulingDelayMs }),
      ])
      expect(rates).toEqual(expected)
    })
  }

  it('learns nothing from a batch without records or without duration, and never goes below the lowest rate', () => {
    const estimator = new PidRateEstimator({ batchIntervalMs: 1000, minRate: 50 })
    const batch = { time: 1000, records: 10_000, processingDelayMs: 1000, schedulingDelayMs: 0 }
    expect(estimator.compute(batch)).toBe(null)
    expect(estimator.compute({ ...batch, time: 2000, records: 0 })).toBe(null)
    expect(estimator.compute({ ...batch, time: 3000, processingDelayMs: 0 })).toBe(null)
    expect(estimator.compute({ ...batch, time: 4000, records: 1, schedulingDelayMs: 60_000 })).toBe(50)
  })

  it('refuses knobs that make no sense', () => {
    for (const wrong of [
      { minRate: 0 },
      { proportional: -1 },
      { integral: -0.1 },
      { derivative: -1 },
      { batchIntervalMs: 0 },
    ]) {
      expect(() => new RateController({ batchIntervalMs: 1000, ...wrong }, () => {})).toThrowError(
        expect.objectContaining({ code: 'ILLEGAL_ARGUMENT' }),
      )
    }
  })
})

describe('the rate controller', () => {
  it('brings a job that gets ten times what it can do to its own rate, with bounded scheduling delay', () => {
    // A job of `capacity` records a second, a source of ten times as many, a batch every second: the loop closed by hand.
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 100_000 }), (capacity) => {
        let rate = capacity * 10
        const controller = new RateController({ batchIntervalMs: 1000 }, (_, next) => (rate = next))
        let freeAt = 0
        const delays: number[] = []
        for (let time = 1000; time < 120_000; time += 1000) {
          const records = Math.min(rate, capacity * 10)
          const schedulingDelayMs = Math.max(0, freeAt - time)
          const processingDelayMs = Math.ceil((records / capacity) * 1000)
          freeAt = time + schedulingDelayMs + processingDelayMs
          delays.push(schedulingDelayMs)
          // The estimator hears of a batch when it ends, and the new rate holds from the next batch on.
          controller.completed(0, { time: freeAt, records, processingDelayMs, schedulingDelayMs })
        }
        expect(Math.max(...delays.slice(-20))).toBeLessThan(2000)
        expect(rate).toBeLessThanOrEqual(capacity * 1.1)
        expect(rate).toBeGreaterThan(capacity * 0.5)
      }),
      { numRuns: 50 },
    )
  })

  it('keeps a stream of its own for each receiver', () => {
    const rates = new Map<number, number>()
    const controller = new RateController({ batchIntervalMs: 1000 }, (stream, rate) => rates.set(stream, rate))
    for (const time of [1000, 2000]) {
      controller.completed(0, { time, records: 1000, processingDelayMs: 500, schedulingDelayMs: 0 })
      controller.completed(1, { time, records: 9000, processingDelayMs: 500, schedulingDelayMs: 0 })
    }
    expect([...rates]).toEqual([
      [0, 2000],
      [1, 18_000],
    ])
  })
})
