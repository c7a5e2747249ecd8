import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimiter } from '../../src/mqtt/rate-limiter.js'

test('while messages wait, ten seconds hold the rate within five per cent from the first message on, however late the timer', () => {
  const ticks = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 20 })
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 1_000_000 }), ticks, (rate, waits) => {
      const limiter = new RateLimiter(0)
      let now = 0
      let taken = 0
      for (let i = 0; now < 10_000; i++) {
        const allowed = limiter.allowance(rate, now)
        limiter.took(allowed, true)
        taken += allowed
        expect(taken).toBeLessThanOrEqual((rate * now) / 1000 + 1e-6)
        now += waits[i % waits.length]!
      }
      const last = waits.length === 0 ? 0 : Math.max(...waits)
      expect(taken).toBeGreaterThanOrEqual(rate * ((now - 2 * last) / 1000) - 1)
    }),
  )
})

test('a pause of the source saves up fifty milliseconds, not more', () => {
  const limiter = new RateLimiter(0)
  limiter.allowance(1000, 0)
  limiter.took(0, false)
  expect(limiter.allowance(1000, 60_000)).toBe(50)
})

test('without a rate anything may be taken, and a rate set later starts empty', () => {
  const limiter = new RateLimiter(0)
  expect(limiter.allowance(null, 5000)).toBe(Number.MAX_SAFE_INTEGER)
  limiter.took(1_000_000, false)
  expect(limiter.allowance(100, 5000)).toBe(0)
  expect(limiter.allowance(100, 5010)).toBe(1)
})
