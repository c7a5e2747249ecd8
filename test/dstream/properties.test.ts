/** What holds for any pipeline over any batches, however they are cut: streams mean what arrays mean. */
import fc from 'fast-check'
import { type DStream, Receiver, StateSpec, StorageLevel } from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { settle } from '../support/contexts.js'
import { masters } from '../support/masters.js'
import {
  applied,
  type Batches,
  batchesOfRecords,
  minus,
  modelled,
  type Numbered,
  type Operation,
  pipelines,
  plus,
  recordPipelines,
  records,
  reduced,
  windows,
} from '../support/model.js'
import { manualContext, outputOf } from '../support/streams.js'
import { multiset } from '../support/vectors.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const runs = (count: number) => ({ numRuns: Math.ceil(count * budget) })
const partitions = fc.integer({ min: 1, max: 5 })

const named = (operations: readonly Operation[]): string => operations.map(({ name }) => name).join(' | ')
const multisets = (batches: readonly (readonly unknown[] | null)[]): string[][] =>
  batches.map((batch) => multiset(batch ?? []))

function outputs(batches: Batches<Numbered>, operations: readonly Operation[], cut: number, master = 'local') {
  return runBatches<[Numbered], Numbered>({
    inputs: [batches],
    build: ([stream]) => applied(stream, operations),
    partitions: cut,
    master,
  })
}

describe('a pipeline over batches', () => {
  test('gives what it means over arrays, for any partitions', async () => {
    await fc.assert(
      fc.asyncProperty(batchesOfRecords, pipelines(5), partitions, async (batches, operations, cut) => {
        expect(multisets(await outputs(batches, operations, cut)), named(operations)).toEqual(
          multisets(modelled(batches, operations)),
        )
      }),
      runs(100),
    )
  })

  test.each(masters.slice(1))('gives the same on %s', { timeout: 300_000 }, async (master) => {
    await fc.assert(
      fc.asyncProperty(batchesOfRecords, pipelines(4), async (batches, operations) => {
        expect(multisets(await outputs(batches, operations, 3, master)), named(operations)).toEqual(
          multisets(modelled(batches, operations)),
        )
      }),
      { ...runs(1), endOnFailure: true },
    )
  })

  test('gives exactly the same again, order included', async () => {
    await fc.assert(
      fc.asyncProperty(batchesOfRecords, pipelines(5), partitions, async (batches, operations, cut) => {
        expect(await outputs(batches, operations, cut)).toEqual(await outputs(batches, operations, cut))
      }),
      runs(25),
    )
  })

  test('of operations on single records does not depend on where batches are cut', async () => {
    const cuts = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(records, { maxLength: 30 }),
        cuts,
        recordPipelines(5),
        async (all, sizes, operations) => {
          let from = 0
          const batches = sizes.map((size) => {
            from += size
            return all.slice(from - size, from)
          })
          batches.push(all.slice(from))
          const once = await outputs([all], operations, 2)
          expect(multiset((await outputs(batches, operations, 2)).flatMap((batch) => batch ?? []))).toEqual(
            multiset(once[0] ?? []),
          )
        },
      ),
      runs(40),
    )
  })
})

/** Gives each batch in blocks as the test cuts them. */
class Blocks extends Receiver<Numbered> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {}
  onStop(): void {}
}

describe('blocks', () => {
  test('may be cut anywhere', async () => {
    const cutBatch = fc.array(fc.array(records, { maxLength: 5 }), { maxLength: 4 })
    const batches = fc.array(cutBatch, { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(batches, pipelines(4), async (blocks, operations) => {
        const { ssc, clock } = manualContext()
        const receiver = new Blocks()
        const seen = outputOf(applied(ssc.receiverStream(receiver), operations))
        await ssc.start()
        await settle()
        for (const batch of blocks) {
          for (const block of batch) await receiver.storeBlock(block)
          clock.advance(1000)
          await ssc.batchesFinished()
        }
        await ssc.stop()
        const whole = blocks.map((batch) => batch.flat())
        expect(multisets(seen), named(operations)).toEqual(multisets(modelled(whole, operations)))
      }),
      runs(25),
    )
  })
})

describe('windows', () => {
  const shape = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4 }))

  test('made from the one before are those made anew, for any length and slide', async () => {
    await fc.assert(
      fc.asyncProperty(batchesOfRecords, shape, partitions, async (batches, [length, slide], cut) => {
        const run = (build: (s: DStream<Numbered>) => DStream<Numbered>) =>
          runBatches<[Numbered], Numbered>({ inputs: [batches], build: ([s]) => build(s), partitions: cut })
        const [windowMs, slideMs] = [length * 1000, slide * 1000]
        const plain = multisets(await run((s) => s.reduceByKeyAndWindow(plus, windowMs, slideMs)))
        expect(plain).toEqual(multisets(windows(batches, length, slide).map((window) => reduced(window))))
        // Without a filter dead keys stay, with 0; with one that counts they go.
        const counted = await run((s) =>
          s
            .mapValues((v) => [v, 1])
            .reduceByKeyAndWindow(
              ([a, n], [b, m]) => [a + b, n + m],
              ([a, n], [b, m]) => [a - b, n - m],
              windowMs,
              slideMs,
              undefined,
              ([, [, n]]) => n > 0,
            )
            .mapValues(([sum]) => sum),
        )
        expect(multisets(counted)).toEqual(plain)
        const unfiltered = await run((s) => s.reduceByKeyAndWindow(plus, minus, windowMs, slideMs))
        const alive = unfiltered.map((window, i) => {
          const keys = new Set(windows(batches, length, slide)[i]!.map(([key]) => key))
          return (window ?? []).filter(([key, sum]) => keys.has(key) || sum !== 0)
        })
        expect(multisets(alive)).toEqual(plain)
      }),
      runs(25),
    )
  })

  test('count what they hold', async () => {
    await fc.assert(
      fc.asyncProperty(batchesOfRecords, shape, async (batches, [length, slide]) => {
        const counts = await runBatches<[Numbered], number>({
          inputs: [batches],
          build: ([s]) => s.countByWindow(length * 1000, slide * 1000),
        })
        const sizes = windows(batches, length, slide).map((window) => window.length)
        // Before any data there is nothing, not even a 0.
        expect(counts.map((window) => window?.[0] ?? 0)).toEqual(sizes)
      }),
      runs(20),
    )
  })
})

describe('state', () => {
  test('of both kinds is the fold of everything before, wherever batches are cut', async () => {
    await fc.assert(
      fc.asyncProperty(batchesOfRecords, partitions, async (batches, cut) => {
        const totals = batches.map((_, i) => reduced(batches.slice(0, i + 1).flat()))
        const updated = await runBatches<[Numbered], Numbered>({
          inputs: [batches],
          build: ([s]) => s.updateStateByKey((values, total: number | null) => values.reduce(plus, total ?? 0)),
          partitions: cut,
        })
        expect(multisets(updated)).toEqual(multisets(totals))
        const spec = StateSpec.function<string, number, number, number>((_key, value, state) => {
          state.update((state.getOption() ?? 0) + (value ?? 0))
          return state.get()
        })
        const mapped = await runBatches<[Numbered], Numbered>({
          inputs: [batches],
          build: ([s]) => s.mapWithState(spec).stateSnapshots(),
          partitions: cut,
        })
        expect(multisets(mapped)).toEqual(multisets(totals))
      }),
      runs(20),
    )
  })
})
