/** What operations of RDDs mean. In this thread, as a script runs them; test/engine/operations.test.ts holds threads to what they give here. */
import { MillraceError, RangePartitioner, type RDD, StreamingContext } from 'millrace'
import { describe, expect, test } from 'vitest'

const sc = new StreamingContext({ appName: 'rdd', batchInterval: '1s', conf: { 'spark.default.parallelism': 3 } })
  .sparkContext
const numbers = (n: number, partitions = 3): RDD<number> =>
  sc.parallelize(
    Array.from({ length: n }, (_, i) => i),
    partitions,
  )
const pairs = (records: [string, number][], partitions = 2): RDD<readonly [string, number]> =>
  sc.parallelize(records, partitions)
const sorted = <T>(records: readonly T[]): T[] =>
  [...records].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
const withCode = (code: string) => (error: unknown) => MillraceError.is(error) && error.code === code

describe('making RDDs', () => {
  test('parallelize cuts where Spark cuts', async () => {
    expect(await sc.parallelize([1, 2, 3, 4, 5], 3).glom().collect()).toEqual([[1], [2, 3], [4, 5]])
    expect(() => sc.parallelize([1], 0)).toThrow('1 up')
  })

  test('a range counts up, or down, and may be empty', async () => {
    expect(await sc.range(5).collect()).toEqual([0, 1, 2, 3, 4])
    expect(await sc.range(10, 0, -3, 2).glom().collect()).toEqual([
      [10, 7],
      [4, 1],
    ])
    expect(await sc.range(3, 3).count()).toBe(0)
    expect(() => sc.range(0, 5, 0)).toThrow('step')
  })
})

describe('how many partitions a shuffle makes', () => {
  const ofParts = (context: typeof sc, parts: number) => context.parallelize([['a', 1]], parts)
  const free = new StreamingContext({ appName: 'free', batchInterval: '1s' }).sparkContext

  test('as many as the largest input has, where no parallelism is set', () => {
    expect(ofParts(free, 7).reduceByKey((a, b) => a + b).numPartitions).toBe(7)
    expect(ofParts(free, 2).join(ofParts(free, 5)).numPartitions).toBe(5)
    expect(free.parallelize([1], 4).distinct().numPartitions).toBe(4)
    expect(free.emptyRDD<[string, number]>().groupByKey().numPartitions).toBe(1)
  })

  test('as many as `spark.default.parallelism` says', () => {
    expect(ofParts(sc, 7).reduceByKey((a, b) => a + b).numPartitions).toBe(3)
  })

  test('as many as the largest partitioner among the inputs has, unless it is ten times too small', () => {
    expect(ofParts(free, 9).partitionBy(4).join(ofParts(free, 9)).numPartitions).toBe(4)
    expect(ofParts(free, 9).partitionBy(2).join(ofParts(free, 20)).numPartitions).toBe(20)
    expect(ofParts(sc, 9).partitionBy(3).join(ofParts(sc, 40)).numPartitions).toBe(3)
  })
})

describe('transformations', () => {
  test('distinct, intersection and subtract compare by value', async () => {
    const a = sc.parallelize([
      [1, 'a'],
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ])
    const b = sc.parallelize([
      [1, 'a'],
      [3, 'c'],
      [3, 'c'],
      [4, 'd'],
    ])
    expect(sorted(await a.distinct().collect())).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ])
    expect(sorted(await a.intersection(b).collect())).toEqual([
      [1, 'a'],
      [3, 'c'],
    ])
    expect(sorted(await a.subtract(b).collect())).toEqual([[2, 'b']])
  })

  test('subtract keeps duplicates', async () => {
    const left = sc.parallelize([1, 1, 2, 3])
    expect(sorted(await left.subtract(sc.parallelize([3])).collect())).toEqual([1, 1, 2])
  })

  test('cartesian pairs every record with every other, partition by partition', async () => {
    const product = numbers(3, 2).cartesian(sc.parallelize(['a', 'b'], 2))
    expect(product.numPartitions).toBe(4)
    expect(sorted(await product.collect())).toEqual([
      [0, 'a'],
      [0, 'b'],
      [1, 'a'],
      [1, 'b'],
      [2, 'a'],
      [2, 'b'],
    ])
  })

  test('zip pairs by position and fails on unequal partitions', async () => {
    expect(
      await numbers(4, 2)
        .zip(numbers(4, 2).map((n) => -n))
        .collect(),
    ).toEqual([
      [0, -0],
      [1, -1],
      [2, -2],
      [3, -3],
    ])
    expect(() => numbers(4, 2).zip(numbers(4, 3))).toThrow(MillraceError)
    await expect(numbers(4, 2).zip(numbers(6, 2)).collect()).rejects.toThrow('same number of records')
    await expect(numbers(6, 2).zip(numbers(4, 2)).collect()).rejects.toThrow('same number of records')
  })

  test('zipPartitions sees the same partition of up to four RDDs', async () => {
    const sums = numbers(4, 2).zipPartitions([numbers(2, 2), numbers(6, 2)], (a, b, c) => [
      [[...a].length, [...b].length, [...c].length],
    ])
    expect(await sums.collect()).toEqual([
      [2, 1, 3],
      [2, 1, 3],
    ])
  })

  test('zipWithIndex numbers across partitions, empty ones too', async () => {
    const letters = sc.parallelize(['a', 'b', 'c', 'd', 'e'], 7)
    expect(await letters.zipWithIndex().collect()).toEqual([
      ['a', 0],
      ['b', 1],
      ['c', 2],
      ['d', 3],
      ['e', 4],
    ])
    expect(await sc.parallelize(['a'], 1).zipWithIndex().collect()).toEqual([['a', 0]])
  })

  test('zipWithUniqueId gives i * n + k', async () => {
    expect(await sc.parallelize(['a', 'b', 'c', 'd', 'e'], 2).zipWithUniqueId().collect()).toEqual([
      ['a', 0],
      ['b', 2],
      ['c', 1],
      ['d', 3],
      ['e', 5],
    ])
  })

  test('repartition deals records out evenly, coalesce puts neighbours together', async () => {
    const dealt = await numbers(90, 9).repartition(4).glom().collect()
    for (const partition of dealt) expect(Math.abs(partition.length - 22.5)).toBeLessThan(9)
    expect(sorted(dealt.flat())).toEqual(sorted(await numbers(90).collect()))
    expect(await numbers(6, 6).coalesce(2).glom().collect()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ])
    expect(numbers(6, 2).coalesce(5).numPartitions).toBe(2)
    expect(numbers(6, 2).coalesce(5, true).numPartitions).toBe(5)
    expect(() => numbers(6).coalesce(0)).toThrow(MillraceError)
  })

  test('keyBy and groupBy', async () => {
    const groups = await numbers(6)
      .groupBy((n) => n % 2)
      .collect()
    expect(sorted(groups)).toEqual([
      [0, [0, 2, 4]],
      [1, [1, 3, 5]],
    ])
  })

  test('samples are the same for the same seed, and about as large as asked for', async () => {
    const rdd = numbers(10_000)
    const once = await rdd.sample(false, 0.1, 7).collect()
    expect(await rdd.sample(false, 0.1, 7).collect()).toEqual(once)
    expect(await rdd.sample(false, 0.1, 8).collect()).not.toEqual(once)
    expect(once.length).toBeGreaterThan(850)
    expect(once.length).toBeLessThan(1150)
    const often = await rdd.sample(true, 2, 7).collect()
    expect(often.length).toBeGreaterThan(19_000)
    expect(new Set(often).size).toBeLessThan(9_500)
    expect(() => rdd.sample(false, 1.1)).toThrow(MillraceError)
    expect(() => rdd.sample(true, -1)).toThrow(MillraceError)
  })

  test('the parts of randomSplit are disjoint and complete', async () => {
    const parts = await Promise.all(
      numbers(1000)
        .randomSplit([1, 2, 1], 3)
        .map((part) => part.collect()),
    )
    expect(sorted(parts.flat())).toEqual(sorted(await numbers(1000).collect()))
    expect(parts[1]!.length).toBeGreaterThan(400)
    expect(() => numbers(3).randomSplit([0, 0])).toThrow(MillraceError)
    expect(() => numbers(3).randomSplit([1, -1])).toThrow(MillraceError)
  })
})

describe('order', () => {
  const mixed = [5, 3, 9, 1, 7, 3, 8, 2, 6, 4, 0]

  test('sortBy orders across partitions, both ways, and keeps equal records in order', async () => {
    expect(
      await sc
        .parallelize(mixed, 4)
        .sortBy((n) => n)
        .collect(),
    ).toEqual([...mixed].sort((a, b) => a - b))
    expect(
      await sc
        .parallelize(mixed, 4)
        .sortBy((n) => n, false, 2)
        .collect(),
    ).toEqual([...mixed].sort((a, b) => b - a))
    const stable = await sc
      .parallelize(['b1', 'a1', 'b2', 'a2'], 2)
      .sortBy((text) => text[0]!)
      .collect()
    expect(stable).toEqual(['a1', 'a2', 'b1', 'b2'])
  })

  test('NaN and missing values sort to the ends and leave the others in order', async () => {
    const readings = sc.parallelize(
      [{ at: 3 }, { at: Number.NaN }, {}, { at: 1 }, { at: 2 }, {}, { at: 0 }] as { at?: number }[],
      3,
    )
    const inOrder = await readings
      .sortBy((reading) => reading.at)
      .map(({ at }) => at)
      .collect()
    expect(inOrder).toEqual([undefined, undefined, 0, 1, 2, 3, Number.NaN])
    expect(await sc.parallelize([3, Number.NaN, 1], 2).max()).toBe(Number.NaN)
    expect(await sc.parallelize([Number.NaN, 3, 1], 2).min()).toBe(1)
  })

  test('sortByKey spreads the keys over the partitions', async () => {
    const rdd = sc.parallelize(
      Array.from({ length: 1000 }, (_, i): [number, null] => [(i * 7919) % 1000, null]),
      5,
    )
    const sizes = (await rdd.sortByKey().glom().collect()).map((partition) => partition.length)
    expect(sizes).toHaveLength(5)
    for (const size of sizes) expect(size).toBeGreaterThan(100)
  })

  test('pairs by one range partitioner lie together: no record moves for their join', async () => {
    const left = sc.parallelize(
      mixed.map((n): [number, string] => [n, 'l']),
      3,
    )
    const partitioner = new RangePartitioner(3, left)
    const joined = left.partitionBy(partitioner).join(left.partitionBy(partitioner))
    expect(joined.partitioner).toBe(partitioner)
    expect(await joined.count()).toBe(13)
  })

  test('repartitionAndSortWithinPartitions sorts each partition', async () => {
    const rdd = sc
      .parallelize(
        mixed.map((n): [number, number] => [n, n]),
        3,
      )
      .repartitionAndSortWithinPartitions(2)
    for (const partition of await rdd.glom().collect()) {
      expect(partition.map(([key]) => key)).toEqual(partition.map(([key]) => key).sort((a, b) => a - b))
    }
  })

  test('filterByRange includes both ends', async () => {
    const rdd = sc.parallelize(mixed.map((n): [number, number] => [n, n]))
    expect(sorted(await rdd.filterByRange(2, 4).keys().collect())).toEqual([2, 3, 3, 4])
  })

  test('takeOrdered and top take from both ends, in the order of the function', async () => {
    const rdd = sc.parallelize(mixed, 4)
    expect(await rdd.takeOrdered(3)).toEqual([0, 1, 2])
    expect(await rdd.top(3)).toEqual([9, 8, 7])
    expect(await rdd.takeOrdered(2, (a, b) => b - a)).toEqual([9, 8])
    expect(await rdd.top(0)).toEqual([])
    expect(await numbers(10_000).top(2)).toEqual([9999, 9998])
  })

  test('max and min, with a function and without', async () => {
    expect(await sc.parallelize(mixed).max()).toBe(9)
    expect(await sc.parallelize(['bb', 'a', 'ccc']).min((a, b) => a.length - b.length)).toBe('a')
    await expect(sc.emptyRDD<number>().max()).rejects.toSatisfy(withCode('EMPTY_COLLECTION'))
  })
})

describe('actions', () => {
  test('take computes no more partitions than it needs', async () => {
    const computed: number[] = []
    const rdd = numbers(100, 20).mapPartitionsWithIndex((partition, records) => {
      computed.push(partition)
      return records
    })
    expect(await rdd.take(3)).toEqual([0, 1, 2])
    expect(computed).toEqual([0])
    expect(await rdd.take(0)).toEqual([])
    expect(await rdd.first()).toBe(0)
  })

  test('first, reduce and the trees of an empty RDD fail, fold gives zero', async () => {
    const none = sc.emptyRDD<number>()
    const add = (a: number, b: number): number => a + b
    await expect(none.first()).rejects.toSatisfy(withCode('EMPTY_COLLECTION'))
    await expect(none.reduce(add)).rejects.toSatisfy(withCode('EMPTY_COLLECTION'))
    await expect(none.treeReduce(add)).rejects.toSatisfy(withCode('EMPTY_COLLECTION'))
    expect(await none.fold(0, add)).toBe(0)
    expect(await none.isEmpty()).toBe(true)
    expect(await none.collect()).toEqual([])
  })

  test('fold counts zero once per partition and once more', async () => {
    expect(await sc.parallelize([1, 1, 1], 3).fold(10, (a, b) => a + b)).toBe(43)
  })

  test('aggregate does not change its zero', async () => {
    const zero: number[] = []
    const collected = await numbers(4, 2).aggregate(
      zero,
      (list, n) => [...list, n],
      (a, b) => [...a, ...b],
    )
    expect(collected).toEqual([0, 1, 2, 3])
    const pushed = await numbers(4, 2).aggregate(zero, pushTo, (a, b) => a.concat(b))
    expect([pushed, zero]).toEqual([[0, 1, 2, 3], []])
  })

  test('the trees give what the plain forms give, at any depth', async () => {
    const rdd = numbers(100, 30)
    for (const depth of [1, 2, 3, 5]) {
      expect(await rdd.treeReduce((a, b) => a + b, depth)).toBe(4950)
      expect(
        await rdd.treeAggregate(
          0,
          (sum, n) => sum + n,
          (a, b) => a + b,
          depth,
        ),
      ).toBe(4950)
    }
    await expect(rdd.treeReduce((a, b) => a + b, 0)).rejects.toSatisfy(withCode('ILLEGAL_ARGUMENT'))
  })

  test('countByValue and countByKey', async () => {
    expect(await sc.parallelize(['a', 'b', 'a'], 2).countByValue()).toEqual(
      new Map([
        ['a', 2],
        ['b', 1],
      ]),
    )
    expect(
      await pairs([
        ['a', 1],
        ['b', 1],
        ['a', 3],
      ]).countByKey(),
    ).toEqual(
      new Map([
        ['a', 2],
        ['b', 1],
      ]),
    )
    expect([...(await sc.parallelize([[1], [1]], 2).countByValue())]).toEqual([[[1], 2]])
  })

  test('countApproxDistinct is within a few standard deviations', async () => {
    const rdd = sc.parallelize(
      Array.from({ length: 20_000 }, (_, i) => `sensor/${i % 5000}`),
      4,
    )
    expect(Math.abs((await rdd.countApproxDistinct(0.02)) - 5000)).toBeLessThan(300)
    const byKey = await rdd
      .map((text): [number, string] => [text.length % 2, text])
      .countApproxDistinctByKey(0.02)
      .collectAsMap()
    expect(Math.abs([...byKey.values()].reduce((a, b) => a + b) - 5000)).toBeLessThan(400)
    await expect(rdd.countApproxDistinct(0.00001)).rejects.toSatisfy(withCode('ILLEGAL_ARGUMENT'))
  })

  test('takeSample gives exactly so many', async () => {
    const rdd = numbers(100)
    for (const n of [0, 1, 50, 99, 100]) expect(new Set(await rdd.takeSample(false, n, 1)).size).toBe(n)
    expect((await rdd.takeSample(false, 200)).length).toBe(100)
    expect((await rdd.takeSample(true, 200)).length).toBe(200)
    await expect(rdd.takeSample(false, -1)).rejects.toSatisfy(withCode('ILLEGAL_ARGUMENT'))
  })

  test('foreach and foreachPartition run for every record and every partition', async () => {
    const seen: number[] = []
    await numbers(5).foreach((n) => {
      seen.push(n)
    })
    const sizes: number[] = []
    await numbers(5).foreachPartition(async (records, partition) => {
      sizes[partition] = [...records].length
    })
    expect([seen, sizes]).toEqual([
      [0, 1, 2, 3, 4],
      [1, 2, 2],
    ])
  })

  test('functions get what is said and no more, so that those with optional parameters work', async () => {
    const numbers = sc.parallelize([3, 1, 2], 3)
    expect(await numbers.reduce(Math.max)).toBe(3)
    expect(await numbers.treeReduce(Math.min)).toBe(1)
    expect(await numbers.fold(0, Math.max)).toBe(3)
    expect(await numbers.aggregate(0, Math.max, Math.max)).toBe(3)
    expect(await sc.parallelize(['10', '11', '12'], 1).map(Number.parseInt).collect()).toEqual([10, 11, 12])
    const pairs = sc.parallelize([1, 1, 1], 1).map((n) => [n, '11'])
    expect(await pairs.mapValues(Number.parseInt).values().collect()).toEqual([11, 11, 11])
  })

  test('foreach waits for an async function, record by record', async () => {
    const seen: string[] = []
    await sc.parallelize([1, 2], 1).foreach(async (n) => {
      seen.push(`begin ${n}`)
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(`end ${n}`)
    })
    expect(seen).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2'])
  })

  test('records that are promises are an error, not a result', async () => {
    await expect(
      sc
        .parallelize([1])
        .map(async (n) => n)
        .collect(),
    ).rejects.toThrow(/mapPartitions/)
  })

  test('toLocalIterator computes partition after partition', async () => {
    const computed: number[] = []
    const rdd = numbers(9, 3).mapPartitionsWithIndex((partition, records) => {
      computed.push(partition)
      return records
    })
    for await (const n of rdd.toLocalIterator()) {
      if (n === 4) break
    }
    expect(computed).toEqual([0, 1])
  })

  test('runJob works on the partitions asked for', async () => {
    expect(await sc.runJob(numbers(9, 3), (records) => [...records].length, [2, 0])).toEqual([3, 3])
  })
})

describe('numbers', () => {
  const rdd = sc.parallelize([1, 2, 3, 4, 10], 2)

  test('statistics', async () => {
    const stats = await rdd.stats()
    expect([stats.count, stats.mean, stats.min, stats.max, stats.sum]).toEqual([5, 4, 1, 10, 20])
    expect(stats.variance).toBeCloseTo(10)
    expect(await rdd.sampleVariance()).toBeCloseTo(12.5)
    expect(await rdd.stdev()).toBeCloseTo(Math.sqrt(10))
    expect(await rdd.sampleStdev()).toBeCloseTo(Math.sqrt(12.5))
    expect(await rdd.sum()).toBe(20)
    expect(await sc.emptyRDD<number>().mean()).toBeNaN()
    expect(await sc.emptyRDD<number>().sum()).toBe(0)
  })

  test('histograms close their last bucket and leave out what lies beyond', async () => {
    expect(await rdd.histogram(3)).toEqual({ edges: [1, 4, 7, 10], counts: [3, 1, 1] })
    expect((await rdd.histogram([2, 4, 10])).counts).toEqual([2, 2])
    expect((await sc.parallelize([1, 2, 2.5, 3]).histogram([2, 3])).counts).toEqual([3])
    await expect(rdd.histogram(0)).rejects.toSatisfy(withCode('ILLEGAL_ARGUMENT'))
    await expect(rdd.histogram([1])).rejects.toSatisfy(withCode('ILLEGAL_ARGUMENT'))
    await expect(sc.parallelize([1, Number.NaN]).histogram(2)).rejects.toSatisfy(withCode('UNSUPPORTED'))
  })
})

describe('pairs', () => {
  const left = pairs([
    ['a', 1],
    ['b', 2],
    ['a', 3],
  ])
  const right = pairs(
    [
      ['a', 10],
      ['c', 30],
    ],
    3,
  )

  test('reduceByKey, foldByKey, aggregateByKey, combineByKey', async () => {
    expect(await left.reduceByKey((a, b) => a + b).collectAsMap()).toEqual(
      new Map([
        ['a', 4],
        ['b', 2],
      ]),
    )
    const folded = pairs(
      [
        ['a', 1],
        ['a', 1],
        ['a', 1],
      ],
      3,
    ).foldByKey(10, (a, b) => a + b)
    expect(await folded.collect()).toEqual([['a', 33]])
    const lists = left.aggregateByKey(
      [] as number[],
      (list, n) => pushTo(list, n),
      (a, b) => [...a, ...b],
    )
    expect(await lists.collectAsMap()).toEqual(
      new Map([
        ['a', [1, 3]],
        ['b', [2]],
      ]),
    )
    const texts = left.combineByKey(
      String,
      (text, n) => `${text},${n}`,
      (a, b) => `${a};${b}`,
    )
    expect(await texts.collectAsMap()).toEqual(
      new Map([
        ['a', '1;3'],
        ['b', '2'],
      ]),
    )
  })

  test('joins of every kind', async () => {
    expect(sorted(await left.join(right).collect())).toEqual([
      ['a', [1, 10]],
      ['a', [3, 10]],
    ])
    expect(sorted(await left.leftOuterJoin(right).collect())).toEqual([
      ['a', [1, 10]],
      ['a', [3, 10]],
      ['b', [2, null]],
    ])
    expect(sorted(await left.rightOuterJoin(right).collect())).toEqual([
      ['a', [1, 10]],
      ['a', [3, 10]],
      ['c', [null, 30]],
    ])
    expect(sorted(await left.fullOuterJoin(right).collect())).toEqual([
      ['a', [1, 10]],
      ['a', [3, 10]],
      ['b', [2, null]],
      ['c', [null, 30]],
    ])
    expect(sorted(await left.groupWith(right, left).collect())).toEqual([
      ['a', [[1, 3], [10], [1, 3]]],
      ['b', [[2], [], [2]]],
      ['c', [[], [30], []]],
    ])
    expect(await left.subtractByKey(right).collect()).toEqual([['b', 2]])
  })

  test('lookup looks into one partition when it knows where keys lie', async () => {
    expect(sorted(await left.lookup('a'))).toEqual([1, 3])
    const computed: number[] = []
    const placed = left.partitionBy(3).mapPartitionsWithIndex((partition, records) => {
      computed.push(partition)
      return records
    }, true)
    expect(sorted(await placed.lookup('a'))).toEqual([1, 3])
    expect(computed).toHaveLength(1)
  })

  test('reduceByKeyLocally, keys, values, mapValues, flatMapValues', async () => {
    expect(await left.reduceByKeyLocally((a, b) => a * b)).toEqual(
      new Map([
        ['a', 3],
        ['b', 2],
      ]),
    )
    expect(sorted(await left.keys().collect())).toEqual(['a', 'a', 'b'])
    expect(sorted(await left.values().collect())).toEqual([1, 2, 3])
    expect(
      sorted(
        await left
          .flatMapValues((n) => [n, -n])
          .values()
          .collect(),
      ),
    ).toEqual([-1, -2, -3, 1, 2, 3])
  })

  test('a flatMap whose function gives no iterable fails: no record goes without a word', async () => {
    const texts = sc.parallelize(['[1]', '5', '{"a":1}'], 1)
    await expect(texts.flatMap((text) => JSON.parse(text)).collect()).rejects.toThrow(
      /record "5": flatMap needs a function that returns an iterable, not the number 5/,
    )
    // biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what is tried
    const later: any = async (n: number) => [n]
    await expect(left.values().flatMap(later).count()).rejects.toThrow(/not an object of Promise/)
    await expect(left.flatMapValues(later).collect()).rejects.toThrow(/not an object of Promise/)
    expect(
      await sc
        .parallelize(['ab'])
        .flatMap((text) => new Set(text))
        .collect(),
    ).toEqual(['a', 'b'])
  })

  test('sampleByKey takes its share of each key, the exact form exactly so many', async () => {
    const rdd = sc.parallelize(
      Array.from({ length: 4000 }, (_, i): [string, number] => [i % 2 === 0 ? 'a' : 'b', i]),
      3,
    )
    const about = await rdd.sampleByKey(false, { a: 0.1, b: 0.5 }, 5).countByKey()
    expect(Math.abs(about.get('a')! - 200)).toBeLessThan(70)
    expect(Math.abs(about.get('b')! - 1000)).toBeLessThan(120)
    const exact = await rdd.sampleByKeyExact(
      false,
      new Map([
        ['a', 0.1],
        ['b', 0.25],
      ]),
      5,
    )
    expect(await exact.countByKey()).toEqual(
      new Map([
        ['a', 200],
        ['b', 500],
      ]),
    )
    expect(new Set(await exact.values().collect()).size).toBe(700)
    await expect(rdd.sampleByKey(false, { a: 1 }).count()).rejects.toThrow('fractions')
  })

  test("a partitioner of the user's places keys, and two RDDs it placed join without moving", async () => {
    const byLength = { numPartitions: 3, getPartition: (key: unknown) => String(key).length % 3 }
    const placed = pairs([
      ['a', 1],
      ['bb', 2],
      ['ccc', 3],
    ]).partitionBy(byLength)
    expect(await placed.glom().collect()).toEqual([[['ccc', 3]], [['a', 1]], [['bb', 2]]])
    expect(placed.join(placed.mapValues((n) => -n)).toDebugString()).not.toContain('partitioned[9999]')
    expect(await placed.join(placed.mapValues((n) => -n)).lookup('bb')).toEqual([[2, -2]])
    const wrong = { numPartitions: 2, getPartition: () => 2 }
    await expect(left.partitionBy(wrong).count()).rejects.toThrow('getPartition')
  })
})

describe('keeping', () => {
  test('a persisted RDD is computed once; another level is refused', async () => {
    let calls = 0
    const rdd = numbers(3).map((n) => {
      calls++
      return n
    })
    rdd.cache()
    await rdd.count()
    await rdd.collect()
    expect(calls).toBe(3)
    expect(rdd.getStorageLevel().toString()).toBe('MEMORY_ONLY')
    rdd.unpersist()
    await rdd.count()
    expect(calls).toBe(6)
  })

  test('localCheckpoint forgets the history after the first job', async () => {
    let calls = 0
    const rdd = numbers(3)
      .map((n) => {
        calls++
        return n
      })
      .localCheckpoint()
    expect(rdd.isCheckpointed).toBe(false)
    await rdd.count()
    expect([rdd.isCheckpointed, rdd.getCheckpointFile()]).toEqual([true, null])
    const before = calls
    expect(await rdd.map((n) => n + 1).collect()).toEqual([1, 2, 3])
    expect(calls).toBe(before)
  })

  test('checkpoint needs a directory', () => {
    expect(() => numbers(3).checkpoint()).toThrow('setCheckpointDir')
  })

  test('toDebugString shows the history', () => {
    const text = left()
      .reduceByKey((a, b) => a + b)
      .setName('totals')
      .toDebugString()
    expect(text).toMatch(/^\(3\) partitioned\[\d+\] totals\n \+-\(2\) parallelized\[\d+\]$/)
  })
})

describe('shared values', () => {
  test('accumulators count what tasks add', async () => {
    const sum = sc.longAccumulator('sum')
    const all = sc.collectionAccumulator<number>()
    await numbers(5).foreach((n) => {
      sum.add(n)
      all.add(n)
    })
    expect([sum.value, sum.count, sum.avg, sum.name]).toEqual([10, 5, 2, 'sum'])
    expect(sorted(all.value)).toEqual([0, 1, 2, 3, 4])
    expect(() => sc.register(sum)).toThrow('only once')
  })

  test('what an accumulator added travels as plain data', () => {
    const sum = sc.longAccumulator()
    sum.add(4)
    const updates = structuredClone(sc.accumulators.drain())
    expect(sum.isZero).toBe(true)
    sc.accumulators.merge(updates)
    expect([sum.value, sum.count]).toEqual([4, 1])
  })

  test('a broadcast has its value until it is destroyed', async () => {
    const names = sc.broadcast(['zero', 'one'])
    expect(
      await numbers(2)
        .map((n) => names.value[n])
        .collect(),
    ).toEqual(['zero', 'one'])
    names.destroy()
    expect(() => names.value).toThrow('destroyed')
    expect(() => sc.broadcast(numbers(2))).toThrow('collect it first')
  })
})

function left(): RDD<readonly [string, number]> {
  return pairs([
    ['a', 1],
    ['b', 2],
    ['a', 3],
  ])
}

function pushTo(list: number[], n: number): number[] {
  list.push(n)
  return list
}
