/** What operations mean where meanings are easily missed: times without an RDD, the edges of windows, of state, of slices, and when what is refused. */
import {
  type CollectionAccumulator,
  type DStream,
  MillraceError,
  type State,
  StateSpec,
  StorageLevel,
  StreamingContext,
} from 'millrace'
import { ManualClock, runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { millraceError } from '../support/errors.js'
import { masters } from '../support/masters.js'
import { manualContext, outputOf, temporaryDirectory } from '../support/streams.js'

const add = (a: number, b: number): number => a + b
const subtract = (a: number, b: number): number => a - b

describe.each(masters)('on %s', (master) => {
  /** The batches `build` makes of one input. */
  function batches<T, O>(
    input: readonly (readonly T[] | null)[],
    build: (stream: DStream<T>, ssc: StreamingContext) => DStream<O>,
  ) {
    return runBatches({ inputs: [input], build: ([stream], ssc) => build(stream as DStream<T>, ssc), master })
  }

  describe('an empty batch', () => {
    test('counts 0, reduces to nothing, and has its empty groups', async () => {
      const input = [[1, 2], [], [3]]
      expect(await batches(input, (s) => s.count())).toEqual([[2], [0], [1]])
      expect(await batches(input, (s) => s.reduce(add))).toEqual([[3], [], [3]])
      // One partition, so that groups have one order.
      expect(await batches(input, (s) => s.countByValue(1))).toEqual([
        [
          [1, 1],
          [2, 1],
        ],
        [],
        [[3, 1]],
      ])
      expect(await batches(input, (s) => s.glom().map((all) => all.length))).toEqual([
        [1, 1],
        [0, 0],
        [0, 1],
      ])
    })
  })

  describe('a time without an RDD', () => {
    const gap = [[1], null, [2]]

    test('is passed on by operations of one record, and outputs do not see it', async () => {
      expect(await batches(gap, (s) => s.map((n) => n + 1).filter(() => true))).toEqual([[2], null, [3]])
      expect(await batches(gap, (s) => s.reduce(add))).toEqual([[1], null, [2]])
      expect(await batches(gap, (s) => s.countByValue())).toEqual([[[1, 1]], null, [[2, 1]]])
    })

    test('is skipped by windows', async () => {
      expect(await batches(gap, (s) => s.window(2000))).toEqual([[1], [1], [2]])
      expect(await batches(gap, (s) => s.countByWindow(2000))).toEqual([[1], [1], [1]])
      expect(await batches([null, null], (s) => s.window(2000))).toEqual([[], []])
    })

    test('fails transform, union and count, which need an RDD of everyone', async () => {
      for (const build of [
        (s: DStream<number>) => s.transform((rdd) => rdd),
        (s: DStream<number>) => s.union(s.map((n) => n)),
        (s: DStream<number>) => s.transformWith(s, (a, b) => a.union(b)),
        (s: DStream<number>) => s.count(),
        (s: DStream<number>) => s.repartition(2),
        (s: DStream<number>) => s.map((n): [number, number] => [n, n]).join(s.map((n) => [n, n])),
      ] as ((s: DStream<number>) => DStream<unknown>)[])
        await expect(batches(gap, build)).rejects.toSatisfy(
          millraceError('ILLEGAL_STATE', /needs an RDD of .* at 2000 ms/),
        )
    })

    test('leaves state as it is, but updateStateByKey is called all the same', async () => {
      let calls: CollectionAccumulator<readonly [readonly number[], number | null]>
      const pairs = [[['a', 1]], null, [['a', 1]]] as [string, number][][]
      const output = await batches(pairs, (s, ssc) => {
        const called = ssc.sparkContext.collectionAccumulator<readonly [readonly number[], number | null]>()
        calls = called
        return s.updateStateByKey((values, total: number | null) => {
          called.add([values, total])
          return values.reduce(add, total ?? 0)
        })
      })
      expect(output).toEqual([[['a', 1]], [['a', 1]], [['a', 2]]])
      expect(calls!.value).toEqual([
        [[1], null],
        [[], 1],
        [[1], 1],
      ])
    })

    test('gives no state before the first RDD, not even the initial one', async () => {
      const initial: [string, number][] = [['z', 9]]
      expect(
        await batches([null, [['a', 1]]] as [string, number][][], (s) =>
          s.updateStateByKey((values, total: number | null) => values.reduce(add, total ?? 0), 2, initial),
        ),
      ).toEqual([
        null,
        expect.arrayContaining([
          ['a', 1],
          ['z', 9],
        ]),
      ])
    })

    test('is nothing for mapWithState, whose function is called for records only', async () => {
      // Each call gives a record.
      const spec = StateSpec.function((key: string, value: number | null) => [key, value])
      expect(await batches([[['a', 1]], null, []] as [string, number][][], (s) => s.mapWithState(spec))).toEqual([
        [['a', 1]],
        [],
        [],
      ])
    })
  })

  describe('a function of transform', () => {
    test('must return an RDD', async () => {
      await expect(batches([[1]], (s) => s.transform(() => null as never))).rejects.toSatisfy(
        millraceError('ILLEGAL_STATE', /returned null; it must return an RDD/),
      )
    })
  })

  describe('windows', () => {
    const numbers = [[1], [2], [3], [4], [5], [6], [7], [8]]

    test('hold the batches after t - window up to t; early ones what there is', async () => {
      expect(await batches(numbers.slice(0, 5), (s) => s.window(3000))).toEqual([
        [1],
        [1, 2],
        [1, 2, 3],
        [2, 3, 4],
        [3, 4, 5],
      ])
    })

    test('come every slide, counted from the zero time', async () => {
      expect(await batches(numbers, (s) => s.window(4000, 3000))).toEqual([
        [1, 2, 3],
        [3, 4, 5, 6],
      ])
    })

    test('with a slide longer than themselves leave batches out', async () => {
      expect(await batches(numbers, (s) => s.window(1000, 3000))).toEqual([[3], [6]])
      expect(
        await batches(
          numbers.map(([n]) => [['k', n!]] as [string, number][]),
          (s) => s.reduceByKeyAndWindow(add, subtract, 1000, 3000),
        ),
      ).toEqual([[['k', 3]], [['k', 6]]])
    })

    test('of windows follow the slide of what they are over', async () => {
      expect(await batches(numbers, (s) => s.window(2000, 2000).window(4000))).toEqual([
        [1, 2],
        [1, 2, 3, 4],
        [3, 4, 5, 6],
        [5, 6, 7, 8],
      ])
      const { ssc } = manualContext()
      const everyTwo = ssc.queueStream([[1]]).window(2000, 2000)
      for (const wrong of [
        () => everyTwo.window(3000),
        () => everyTwo.window(4000, 3000),
        () => everyTwo.countByWindow(1000),
        () => everyTwo.map((n): [number, number] => [n, n]).reduceByKeyAndWindow(add, subtract, 4000, 1000),
        () => everyTwo.window(0),
      ])
        expect(wrong).toThrow(MillraceError)
      expect(() => everyTwo.window(3000)).toThrow(/window of 3000 ms must be a multiple of .* 2000 ms/)
    })

    test('count nothing before any data and 0 after it', async () => {
      expect(await batches([[], [1], [], []], (s) => s.countByWindow(2000))).toEqual([[], [1], [1], [0]])
    })

    test('made from the one before take out first, then add', async () => {
      let calls: CollectionAccumulator<string>
      await batches([[['k', 1]], [['k', 2]], [['k', 3]]] as [string, number][][], (s, ssc) => {
        const called = ssc.sparkContext.collectionAccumulator<string>()
        calls = called
        return s.reduceByKeyAndWindow(
          (a, b) => {
            called.add(`${a} + ${b}`)
            return a + b
          },
          (a, b) => {
            called.add(`${a} - ${b}`)
            return a - b
          },
          2000,
        )
      })
      expect(calls!.value).toEqual(['1 + 2', '3 - 1', '2 + 3'])
    })

    test('made from the one before keep dead keys unless a filter drops them', async () => {
      const pairs = [[['a', 1]], [['b', 1]], [], []] as [string, number][][]
      const window = (filter?: (pair: readonly [string, number]) => boolean) =>
        batches(pairs, (s) => s.reduceByKeyAndWindow(add, subtract, 2000, 1000, 1, filter))
      expect((await window()).at(-1)).toEqual([
        ['a', 0],
        ['b', 0],
      ])
      expect((await window(([, n]) => n > 0)).at(-1)).toEqual([])
      expect(await batches([['a'], ['b'], [], []], (s) => s.countByValueAndWindow(2000))).toEqual([
        [['a', 1]],
        expect.arrayContaining([
          ['a', 1],
          ['b', 1],
        ]),
        [['b', 1]],
        [],
      ])
    })

    test('say so when a key is taken out that the window before does not have', async () => {
      const pairs = [[['a', 1]], [['b', 1]], []] as [string, number][][]
      await expect(
        batches(pairs, (s) => s.reduceByKeyAndWindow(add, subtract, 2000, 1000, 1, () => false)),
      ).rejects.toThrow(/Neither the previous window has a value for key a/)
    })
  })

  describe('states that time out', () => {
    /** The times at which a key timed out that came at 1 s, and again at `again`, looked for every `checkpoint` ms. */
    async function timeouts(
      idle: number,
      checkpoint: number,
      again: number | null,
      update: boolean,
    ): Promise<number[]> {
      const gone = await runBatches({
        inputs: [[[['k', 1]], ...Array.from({ length: 12 }, (_, i) => ((i + 2) * 1000 === again ? [['k', 2]] : []))]],
        build: ([input]) => {
          const spec = StateSpec.functionWithTime((time, _key: string, value: number | null, state: State<number>) => {
            if (state.isTimingOut()) return time
            if (value === 1 || update) state.update(value ?? 0)
            return null
          })
          return (input as DStream<[string, number]>).mapWithState(spec.timeout(idle)).checkpoint(checkpoint)
        },
        master,
      })
      return gone.flatMap((batch) => batch ?? [])
    }

    test('do so strictly after their time, when it is looked for', async () => {
      expect(await timeouts(2000, 1000, null, true), 'at 3 s the idle time is reached, not passed').toEqual([4000])
      expect(await timeouts(2000, 5000, null, true), 'looked for every 5 s').toEqual([5000])
      expect(await timeouts(2000, 10_000, null, true)).toEqual([10_000])
    })

    test('are kept by a record, also when the function does not update', async () => {
      expect(await timeouts(2000, 1000, 3000, true)).toEqual([6000])
      expect(await timeouts(2000, 1000, 3000, false)).toEqual([6000])
    })
  })

  describe('foreachPartition', () => {
    test('is told the partition and the batch time, for naming what it writes', async () => {
      let calls: CollectionAccumulator<readonly number[]>
      await batches([[1, 2, 3, 4], [5]], (s, ssc) => {
        const called = ssc.sparkContext.collectionAccumulator<readonly number[]>()
        calls = called
        s.foreachPartition((records, partition, time) => {
          called.add([time, partition, ...records])
        })
        return s
      })
      // Partitions are done in any order.
      expect([...calls!.value].sort()).toEqual([
        [1000, 0, 1, 2],
        [1000, 1, 3, 4],
        [2000, 0],
        [2000, 1, 5],
      ])
    })
  })
})

// From here on what the driver does: no function runs in a thread.

test('an empty batch is no time without an RDD: outputs see it', async () => {
  const { ssc, batches: run } = manualContext()
  const seen: number[] = []
  ssc.queueStream<number>([[1]]).foreachRDD(async (rdd) => {
    seen.push(await rdd.count())
  })
  await run(2)
  expect(seen).toEqual([1, 0])
})

describe('keeping', () => {
  test('a stream is kept as bytes by default, an RDD as values, a window by its parent', () => {
    const { ssc } = manualContext()
    const stream = ssc.queueStream([[1]])
    const mapped = stream.map((n) => n).persist()
    expect(mapped.node.storageLevel).toBe(StorageLevel.MEMORY_ONLY_SER)
    expect(ssc.sparkContext.parallelize([1]).persist().getStorageLevel()).toBe(StorageLevel.MEMORY_ONLY)
    const windowed = mapped.map((n) => n).window(2000)
    const [parent] = windowed.node.dependencies
    expect([windowed.node.storageLevel, parent!.storageLevel]).toEqual([null, StorageLevel.MEMORY_ONLY_SER])
    windowed.persist(StorageLevel.MEMORY_ONLY)
    expect([windowed.node.storageLevel, parent!.storageLevel]).toEqual([null, StorageLevel.MEMORY_ONLY])
    expect(stream.map((n) => n).checkpoint(2000).node.storageLevel, 'checkpointing keeps').toBe(
      StorageLevel.MEMORY_ONLY_SER,
    )
  })

  test('after the start it is too late to keep, checkpoint, add or remember', async () => {
    const { ssc } = manualContext()
    const stream = ssc.queueStream([[1]])
    stream.foreachRDD(() => {})
    ssc.remember(5000)
    expect(() => ssc.remember(6000)).toThrow(/already set, to 5000 ms/)
    await ssc.start()
    expect(() => stream.persist()).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    expect(() => stream.checkpoint(1000)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    expect(() => stream.map((n) => n)).toThrow(/after starting a context/)
    expect(() => ssc.remember(7000)).toThrow(expect.objectContaining({ code: 'CONTEXT_STARTED' }))
    await ssc.stop()
    expect(() => stream.map((n) => n)).toThrow(/after stopping a context/)
  })

  test('a checkpoint interval is a multiple of the slide; ten seconds unless said, ten slides for mapWithState', async () => {
    const { ssc } = manualContext(3000)
    const pairs = ssc.queueStream([[1]]).map((n): [number, number] => [n, n])
    expect(pairs.updateStateByKey((_values, state: number | null) => state).node.checkpointMs).toBe(12_000)
    const wrong = manualContext(2000)
    const stream = wrong.ssc.queueStream([[1]])
    stream.checkpoint(3000).print()
    await expect(wrong.ssc.start()).rejects.toSatisfy(
      millraceError('ILLEGAL_ARGUMENT', /interval of .* is 3000 ms; .* multiple of its slide, 2000 ms/),
    )
  })
})

describe('slice', () => {
  test('is closed at both ends, floors them to the slide, and begins after the zero time', async () => {
    const { ssc, batches: run } = manualContext()
    const stream = ssc.queueStream([[1], [2], [3], [4]])
    const doubled = stream.map((n) => n * 2).window(2000, 2000)
    ssc.remember('1m')
    doubled.foreachRDD(() => {})
    stream.foreachRDD(() => {})
    await run(4)
    const of = async (s: DStream<number>, from: number, to: number) =>
      Promise.all(s.slice(from, to).map((rdd) => rdd.collect()))
    expect(await of(stream, 2000, 3000)).toEqual([[2], [3]])
    expect(await of(stream, 2999, 3999), 'rounded down').toEqual([[2], [3]])
    expect(await of(stream, -5000, 1000)).toEqual([[1]])
    expect(await of(doubled, 2000, 4000)).toEqual([
      [2, 4],
      [6, 8],
    ])
    expect(await of(doubled, 3500, 4000)).toEqual([
      [2, 4],
      [6, 8],
    ])
  })

  test('before the start has nothing to count from', () => {
    const { ssc } = manualContext()
    expect(() => ssc.queueStream([[1]]).slice(0, 1000)).toThrow(/has not been initialized/)
  })
})

describe('a queue', () => {
  test('works with a checkpoint, but a later process does not go on from it', async () => {
    const directory = temporaryDirectory()
    const clock = new ManualClock()
    const start = async (): Promise<StreamingContext> => {
      const ssc = new StreamingContext({ appName: 'queue', batchInterval: 1000 }, { clock })
      ssc.checkpoint(directory)
      outputOf(ssc.queueStream([[1], [2]]))
      await ssc.start()
      return ssc
    }
    const first = await start()
    clock.advance(1000)
    await first.batchesFinished()
    await first.stop()
    await expect(start()).rejects.toSatisfy(millraceError('UNSUPPORTED', /queueStream cannot go on from a checkpoint/))
  })
})
