/** Persisted streams give the same results at every storage level, with room in memory and with next to none. */
import { StorageLevel } from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'

const levels = [
  'NONE',
  'DISK_ONLY',
  'DISK_ONLY_2',
  'MEMORY_ONLY',
  'MEMORY_ONLY_2',
  'MEMORY_ONLY_SER',
  'MEMORY_AND_DISK',
  'MEMORY_AND_DISK_SER_2',
  'OFF_HEAP',
]
const input = Array.from({ length: 5 }, (_, batch) => Array.from({ length: 200 }, (_, n) => batch * 200 + n))
/** Sums of windows of three batches of the numbers doubled, by their last digit. */
const expected = input.map((_, batch) => {
  const sums = new Map<number, number>()
  for (const n of input.slice(Math.max(0, batch - 2), batch + 1).flat())
    sums.set(n % 10, (sums.get(n % 10) ?? 0) + 2 * n)
  return [...sums].sort(([a], [b]) => a - b)
})

describe.each(['local', 'local[2]'])('on %s', (master) => {
  test.each(levels.flatMap((level) => ['1g', '3k'].map((memory) => [level, memory])))(
    '%s with %s of memory',
    async (level, memory) => {
      const outputs = await runBatches({
        inputs: [input],
        build: ([numbers]) => {
          const doubled = numbers.map((n): [number, number] => [n % 10, 2 * n])
          const kept = doubled.reduceByKey((a, b) => a + b).persist(StorageLevel.fromString(level!))
          return kept.window(3000).reduceByKey((a, b) => a + b)
        },
        master,
        conf: { 'millrace.storage.memory': memory },
      })
      const sorted = outputs.map((batch) => (batch as [number, number][]).sort(([a], [b]) => a - b))
      expect(sorted).toEqual(expected)
    },
  )

  test('state survives when memory has no room for it', async () => {
    const outputs = await runBatches({
      inputs: [input],
      build: ([numbers]) =>
        numbers
          .map((n): [number, number] => [n % 100, n])
          .updateStateByKey((values, sum: number | null) => values.reduce((a, b) => a + b, sum ?? 0)),
      master,
      conf: { 'millrace.storage.memory': '1k' },
    })
    const total = (outputs.at(-1) as [number, number][]).reduce((sum, [, value]) => sum + value, 0)
    expect(total).toBe((1000 * 999) / 2)
  })
})
