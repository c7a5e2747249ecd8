import { MillraceError } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { BlockGenerator } from '../../dist/receiver/block-generator.js'
import { RateLimiter } from '../../dist/receiver/rate-limiter.js'

interface Setup {
  readonly queueSize?: number
  readonly ratePerSecond?: number | null
  readonly store?: (records: readonly number[]) => Promise<void>
}

function make({ queueSize = 2, ratePerSecond = null, store }: Setup = {}) {
  const clock = new ManualClock(1_000_000)
  const stored: (readonly number[])[] = []
  const errors: unknown[] = []
  const generator = new BlockGenerator<number>({
    clock,
    blockIntervalMs: 200,
    queueSize,
    limiter: new RateLimiter(clock, ratePerSecond),
    store: store ?? (async (records) => void stored.push(records)),
    onError: (_, error) => errors.push(error),
  })
  return { clock, stored, errors, generator }
}

describe('BlockGenerator', () => {
  test('what is added within one block interval becomes one block, in order; an empty interval makes none', async () => {
    const { clock, stored, generator } = make()
    generator.start()
    generator.add(1)
    generator.add(2)
    clock.advance(200)
    clock.advance(200)
    generator.add(3)
    await generator.stop()
    expect(stored).toEqual([[1, 2], [3]])
  })

  test('a stop stores what is buffered and takes no more', async () => {
    const { stored, generator } = make()
    generator.start()
    generator.add(7)
    await generator.stop()
    expect(stored).toEqual([[7]])
    expect(() => generator.add(8)).toThrow(/the block generator is stopped/)
  })

  test('adding before the start and starting twice are illegal', () => {
    const { generator } = make()
    expect(() => generator.add(1)).toThrow(MillraceError)
    generator.start()
    expect(() => generator.start()).toThrow(/cannot start/)
  })

  test('a slow store fills the queue: add then asks the source to pause, and drained resolves when there is room', async () => {
    const releases: (() => void)[] = []
    const { clock, generator } = make({ queueSize: 2, store: () => new Promise((resolve) => releases.push(resolve)) })
    generator.start()
    expect(generator.add(1)).toBe(true)
    clock.advance(200)
    expect(generator.add(2)).toBe(true)
    clock.advance(200)
    expect(generator.add(3)).toBe(false)
    let isDrained = false
    const drained = generator.drained().then(() => {
      isDrained = true
    })
    await Promise.resolve()
    expect(isDrained).toBe(false)
    releases.shift()!()
    await drained
    expect(generator.add(4)).toBe(true)
    const stopped = generator.stop()
    while (releases.length > 0) {
      releases.shift()!()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await stopped
  })

  test('a block that cannot be stored is reported and tried again, before any later block', async () => {
    const stored: (readonly number[])[] = []
    let failures = 2
    const { clock, errors, generator } = make({
      store: async (records) => {
        if (failures-- > 0) throw new Error('disk full')
        stored.push(records)
      },
    })
    generator.start()
    generator.add(1)
    clock.advance(200)
    generator.add(2)
    for (let i = 0; i < 20; i++) {
      clock.advance(200)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await generator.stop()
    expect(stored).toEqual([[1], [2]])
    expect(errors).toHaveLength(2)
  })

  test('a source that waits whenever it is asked to holds its rate within 5 % over 10 s, from the first record', async () => {
    const { clock, generator } = make({ ratePerSecond: 1000, queueSize: 1000 })
    generator.start()
    let added = 0
    let wantsMore = true
    const source = (async () => {
      while (wantsMore) {
        added++
        if (!generator.add(added)) await generator.drained()
      }
    })()
    for (let ms = 0; ms < 10_000; ms++) {
      clock.advance(1)
      await new Promise((resolve) => setImmediate(resolve))
    }
    wantsMore = false
    clock.advance(1000)
    await source
    await generator.stop()
    expect(added).toBeGreaterThan(9500)
    expect(added).toBeLessThan(10_500)
  })
})
