/** Shuffles larger than the memory they may take: on disk in between, the same result, and nothing left behind. */
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'

/** How many times larger than by default; 4 GB are reached at 60. */
const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const perPartition = 70_000 * budget

function spillDirectories(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`millrace-${process.pid}-`))
}

describe.each(['local', 'local[2]'])('on %s', (master) => {
  test('groupByKey of more than fits into memory gives every value once', async () => {
    const [counted] = await runBatches({
      inputs: [[Array.from({ length: 8 }, (_, part) => part)]],
      build: ([parts]) =>
        parts
          .flatMap((part) =>
            Array.from({ length: perPartition }, (_, n) => [n % 1000, `${part}-${n}`.padEnd(120, '.')]),
          )
          .groupByKey(3)
          .mapPartitions((groups) => {
            const hasSpilled = readdirSync(tmpdir()).some((name) => name.startsWith(`millrace-${process.pid}-`))
            return Array.from(groups, ([key, values]) => [key, values.length, new Set(values).size, hasSpilled])
          }),
      partitions: 8,
      master,
      conf: { 'millrace.shuffle.memory': '2m' },
    })
    const groups = counted as [key: number, values: number, distinct: number, hasSpilled: boolean][]
    expect(groups.map(([key]) => key).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n))
    const each = (8 * perPartition) / 1000
    expect(groups.every(([, values, distinct]) => values === each && distinct === each)).toBe(true)
    expect(groups[0]![3]).toBe(true)
    expect(spillDirectories()).toEqual([])
  })

  test('reduceByKey with more keys than fit into memory combines across everything written', async () => {
    const [sums] = await runBatches({
      inputs: [[Array.from({ length: 4 }, (_, part) => part)]],
      build: ([parts]) =>
        parts
          .flatMap((part) => Array.from({ length: perPartition }, (_, n) => [`key ${n}`, part]))
          .reduceByKey((a, b) => a + b, 2)
          .map(([, sum]) => [sum, 1])
          .reduceByKey((a, b) => a + b, 1),
      partitions: 4,
      master,
      conf: { 'millrace.shuffle.memory': '1m' },
    })
    expect(sums).toEqual([[6, perPartition]])
    expect(spillDirectories()).toEqual([])
  })
})
