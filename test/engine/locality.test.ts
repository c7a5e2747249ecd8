/** Tasks go to the threads that hold what they read; what a thread holds is never the only copy. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DStream, type State, StateSpec, StorageLevel, type StreamingContext, type TaskInfo } from 'millrace'
import { runBatches } from 'millrace/testing'
import { afterAll, describe, expect, test } from 'vitest'

const markers = mkdtempSync(join(tmpdir(), 'millrace-locality-'))
afterAll(() => rmSync(markers, { recursive: true, force: true }))

const batches = Array.from({ length: 30 }, (_, batch) =>
  Array.from({ length: 60 }, (_, n): [string, number] => [`key ${(batch * 7 + n * n) % 101}`, n]),
)

function tasksOf(ssc: StreamingContext): TaskInfo[] {
  const tasks: TaskInfo[] = []
  ssc.addStreamingListener({ onTaskEnd: (task) => void tasks.push(task) })
  return tasks
}

function sorted(outputs: readonly (unknown[] | null)[]): unknown {
  return outputs.map((batch) => batch?.map((record) => JSON.stringify(record)).sort())
}

function totals(pairs: DStream<[string, number]>): DStream<[string, number]> {
  const total = (key: string, value: number | null, state: State<number>): [string, number] => {
    if (!state.isTimingOut()) state.update((state.getOption() ?? 0) + (value ?? 0))
    return [key, state.isTimingOut() ? -1 : state.get()]
  }
  return pairs.mapWithState(StateSpec.function(total).timeout('5s').numPartitions(4))
}

test('tasks over kept values run in the thread that holds them, batch after batch', async () => {
  let tasks: TaskInfo[] = []
  await runBatches({
    inputs: [batches],
    build: ([pairs], ssc) => {
      tasks = tasksOf(ssc)
      return totals(pairs)
    },
    master: 'local[2]',
    conf: { 'spark.locality.wait': '60s' },
  })
  const readers = tasks.filter(({ batchTime, locality }) => batchTime! > 1000 && locality !== 'NO_PREF')
  expect(readers.length).toBeGreaterThanOrEqual(4 * 29)
  expect(readers.every(({ locality }) => locality === 'PROCESS_LOCAL')).toBe(true)
  // The thread of a partition is the same in every batch.
  const threads = new Map<number, Set<number>>()
  for (const { partition, executor } of readers) {
    threads.set(partition, (threads.get(partition) ?? new Set()).add(executor))
  }
  expect([...threads.values()].every((used) => used.size === 1)).toBe(true)
})

test('what a thread holds is read as bytes in another', async () => {
  const build = ([pairs]: readonly [DStream<[string, number]>]): DStream<unknown> =>
    pairs
      .reduceByKey((a, b) => a + b, 4)
      .persist(StorageLevel.MEMORY_ONLY)
      .window(3000)
      // The first partition keeps its thread busy, and with it all that would rather run there.
      .mapPartitionsWithIndex((partition, records) => {
        if (partition % 4 === 0) for (const end = Date.now() + 20; Date.now() < end; );
        return records
      })
  const inputs = [batches.slice(0, 6)] as const
  const calm = await runBatches({ inputs, build })
  const outputs = await runBatches({ inputs, build, master: 'local[2]', conf: { 'spark.locality.wait': '0' } })
  expect(sorted(outputs)).toEqual(sorted(calm))
})

describe('states of mapWithState', () => {
  const calm = (): Promise<unknown> => runBatches({ inputs: [batches], build: ([pairs]) => totals(pairs) }).then(sorted)

  test.each([
    ['1g', '60s'],
    ['1g', '0'],
    ['4k', '0'],
    ['0', '0'],
  ])('are the same with %s of memory and a wait of %s', async (memory, wait) => {
    const outputs = await runBatches({
      inputs: [batches],
      build: ([pairs]) => totals(pairs),
      master: 'local[2]',
      conf: { 'millrace.storage.memory': memory!, 'spark.locality.wait': wait! },
    })
    expect(sorted(outputs)).toEqual(await calm())
  })

  test('outlive the threads that hold them', async () => {
    const outputs = await runBatches({
      inputs: [batches],
      build: ([pairs]) =>
        totals(
          pairs.map(([key, value]): [string, number] => {
            const marker = `${markers}/${key}`
            if (value === 7 && !existsSync(marker)) {
              writeFileSync(marker, '')
              process.exit(1)
            }
            return [key, value]
          }),
        ),
      master: 'local[2,40]',
    })
    expect(sorted(outputs)).toEqual(await calm())
  })

  test('are written as what changed: a batch costs by its records, not by its keys', async () => {
    const keys = 20_000
    let tasks: TaskInfo[] = []
    await runBatches({
      inputs: [
        [
          Array.from({ length: keys }, (_, n): [string, number] => [`key ${n}`, n]),
          ...Array.from({ length: 5 }, (_, n): [string, number][] => [[`key ${n}`, 1]]),
        ],
      ],
      build: ([pairs], ssc) => {
        tasks = tasksOf(ssc)
        return totals(pairs)
      },
      master: 'local[2]',
      conf: { 'spark.locality.wait': '60s' },
    })
    // Where the values are held, no bytes are read.
    const later = tasks.filter(({ batchTime }) => batchTime! > 1000)
    expect(later.reduce((bytes, { metrics }) => bytes + metrics!.inputBytes, 0)).toBeLessThan(10_000)
  })
})
