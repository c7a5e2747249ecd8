/**
 * Every operation of RDD and every way to make one, each as a small program: what it gives must be the same wherever it runs.
 * The name of a program begins with the operation, as docs/operations.md has it.
 */
import { HashPartitioner, type Item, RangePartitioner, type RDD, type SparkContext, StorageLevel } from 'millrace'

/** What a program may use. */
export interface Ground {
  readonly sc: SparkContext
  /** A directory that this program alone writes to. */
  readonly directory: string
  /** A directory of files to read. */
  readonly data: string
}

const plus = (a: number, b: number): number => a + b
const numbers = (sc: SparkContext, count = 12, partitions = 3): RDD<number> =>
  sc.parallelize(
    Array.from({ length: count }, (_, i) => (i * 7) % count),
    partitions,
  )
const pairs = (sc: SparkContext): RDD<readonly [string, number]> =>
  sc.parallelize(
    Array.from({ length: 12 }, (_, i): [string, number] => ['abcd'[(i * 5) % 4]!, i]),
    3,
  )
const others = (sc: SparkContext): RDD<readonly [string, string]> =>
  sc.parallelize(
    ['a', 'c', 'c', 'e'].map((key, i): [string, string] => [key, `other ${i}`]),
    2,
  )
const glommed = <T>(rdd: RDD<T>): Promise<T[][]> => rdd.glom().collect()
/** Places keys by their first letter. */
const byLetter = { numPartitions: 3, getPartition: (key: unknown) => String(key).charCodeAt(0) % 3 }

export const rddOperations: Readonly<Record<string, (ground: Ground) => unknown>> = {
  // Made of data at hand
  parallelize: ({ sc }) => glommed(sc.parallelize(['a', null, { x: [1, 2n] }, new Uint8Array([1, 2])], 3)),
  'parallelize, as many partitions as the master says': ({ sc }) => sc.parallelize([1, 2, 3]).getNumPartitions(),
  range: ({ sc }) => glommed(sc.range(10, 0, -3, 2)),
  emptyRDD: ({ sc }) => glommed(sc.emptyRDD<number>().map((n) => n + 1)),
  'union of a context': ({ sc }) => glommed(sc.union([numbers(sc, 3), numbers(sc, 2, 2)])),
  defaultParallelism: ({ sc }) => sc.defaultParallelism,
  defaultMinPartitions: ({ sc }) => sc.defaultMinPartitions,
  appName: ({ sc }) => sc.appName,
  isStopped: ({ sc }) => sc.isStopped,

  // Records
  map: ({ sc }) => glommed(numbers(sc).map((n) => n * 2)),
  flatMap: ({ sc }) => glommed(numbers(sc).flatMap((n) => Array.from({ length: n % 3 }, () => n))),
  filter: ({ sc }) => glommed(numbers(sc).filter((n) => n % 2 === 0)),
  mapPartitions: ({ sc }) => glommed(numbers(sc).mapPartitions((records) => [[...records].reduce(plus, 0)])),
  'mapPartitions, async': ({ sc }) => glommed(numbers(sc).mapPartitions(async (records) => [...records].reverse())),
  mapPartitionsWithIndex: ({ sc }) =>
    glommed(numbers(sc).mapPartitionsWithIndex((i, records) => [...records].map((n) => [i, n]))),
  glom: ({ sc }) => numbers(sc).glom().collect(),
  keyBy: ({ sc }) => glommed(numbers(sc).keyBy((n) => n % 3)),
  pipe: ({ sc }) => glommed(numbers(sc).pipe('sort -n')),

  'map, records of every kind': ({ sc }) => glommed(sc.parallelize(everyKind, 3).map((record) => record)),
  'map, records that are large': async ({ sc }) => {
    const texts = await sc
      .parallelize([3, 5, 7], 2)
      .map((n) => `${n}`.repeat(n * 1_000_000))
      .repartition(2)
      .collect()
    return texts.map((text) => [text.length, text[0]]).sort()
  },
  'mapPartitions, nothing out of something': ({ sc }) => glommed(numbers(sc).mapPartitions(() => [])),

  // Sets
  'distinct, records of every kind': ({ sc }) => glommed(sc.parallelize([...everyKind, ...everyKind], 4).distinct(3)),
  distinct: ({ sc }) =>
    glommed(
      numbers(sc)
        .map((n) => [n % 3, { rest: n % 2 }])
        .distinct(),
    ),
  union: ({ sc }) => glommed(numbers(sc, 4, 2).union(numbers(sc, 3, 1), numbers(sc, 2, 1))),
  intersection: ({ sc }) => glommed(numbers(sc).intersection(sc.parallelize([3, 3, 5, 40], 2))),
  subtract: ({ sc }) => glommed(numbers(sc).subtract(sc.parallelize([3, 3, 5, 40], 2))),
  cartesian: ({ sc }) => glommed(numbers(sc, 3, 2).cartesian(sc.parallelize(['a', 'b'], 2))),
  zip: ({ sc }) => glommed(numbers(sc).zip(numbers(sc).map((n) => -n))),
  zipPartitions: ({ sc }) =>
    glommed(numbers(sc).zipPartitions([numbers(sc, 6), numbers(sc, 5)], (a, b, c) => [[[...a], [...b], [...c]]])),
  zipWithIndex: ({ sc }) => glommed(numbers(sc).zipWithIndex()),
  zipWithUniqueId: ({ sc }) => glommed(numbers(sc).zipWithUniqueId()),
  repartition: ({ sc }) => glommed(numbers(sc).repartition(5)),
  coalesce: ({ sc }) => glommed(numbers(sc, 12, 6).coalesce(4)),
  'coalesce, shuffling': ({ sc }) => glommed(numbers(sc, 12, 2).coalesce(4, true)),
  sample: ({ sc }) => glommed(numbers(sc, 100).sample(false, 0.3, 7)),
  'sample with replacement': ({ sc }) => glommed(numbers(sc, 30).sample(true, 2, 7)),
  randomSplit: async ({ sc }) => {
    const parts = numbers(sc, 50).randomSplit([1, 2], 3)
    return Promise.all(parts.map((part) => glommed(part)))
  },
  groupBy: ({ sc }) => glommed(numbers(sc).groupBy((n) => n % 3)),

  // Order
  sortBy: ({ sc }) => glommed(numbers(sc, 40).sortBy((n) => n)),
  'sortBy, down, more partitions': ({ sc }) => glommed(numbers(sc, 40).sortBy((n) => n % 7, false, 4)),
  'sortBy, many records': async ({ sc }) => {
    const sorted = await sc
      .range(0, 20_000, 1, 4)
      .sortBy((n) => (n * 7919) % 20_011, true, 3)
      .collect()
    return [sorted.length, sorted.every((n, i) => i === 0 || (sorted[i - 1]! * 7919) % 20_011 < (n * 7919) % 20_011)]
  },
  sortByKey: ({ sc }) => glommed(pairs(sc).sortByKey()),
  repartitionAndSortWithinPartitions: ({ sc }) => glommed(pairs(sc).repartitionAndSortWithinPartitions(2)),
  filterByRange: ({ sc }) => glommed(pairs(sc).filterByRange('b', 'c')),
  takeOrdered: ({ sc }) => numbers(sc).takeOrdered(4, (a, b) => (a % 5) - (b % 5) || a - b),
  top: ({ sc }) => numbers(sc).top(3),

  // Actions
  collect: ({ sc }) => numbers(sc).collect(),
  'collect, twice, of what a shuffle moved': async ({ sc }) => {
    const totals = pairs(sc).reduceByKey(plus, 2)
    return [await totals.collect(), await totals.collect(), await totals.count()]
  },
  toLocalIterator: async ({ sc }) => {
    const seen: number[] = []
    for await (const n of numbers(sc).toLocalIterator()) if (seen.push(n) === 6) break
    return seen
  },
  count: ({ sc }) => numbers(sc).count(),
  countByValue: ({ sc }) =>
    numbers(sc)
      .map((n) => [n % 3])
      .countByValue(),
  countApprox: async ({ sc }) => (await numbers(sc).countApprox('1m')).getFinalValue(),
  countByValueApprox: async ({ sc }) =>
    (
      await numbers(sc)
        .map((n) => n % 3)
        .countByValueApprox('1m')
    ).getFinalValue(),
  countApproxDistinct: ({ sc }) => numbers(sc, 2000).countApproxDistinct(),
  first: ({ sc }) => numbers(sc).first(),
  'first of nothing': ({ sc }) => failure(sc.emptyRDD<number>().first()),
  take: ({ sc }) => numbers(sc, 12, 6).take(5),
  takeSample: ({ sc }) => numbers(sc, 100).takeSample(false, 10, 4),
  reduce: ({ sc }) => numbers(sc).reduce(plus),
  treeReduce: ({ sc }) => numbers(sc, 30, 10).treeReduce(plus, 3),
  fold: ({ sc }) => numbers(sc).fold(10, plus),
  aggregate: ({ sc }) =>
    numbers(sc).aggregate(
      [] as number[],
      (all, n) => [...all, n],
      (a, b) => [...a, ...b],
    ),
  treeAggregate: ({ sc }) => numbers(sc, 30, 10).treeAggregate(0, plus, plus, 3),
  max: ({ sc }) => numbers(sc).max(),
  min: ({ sc }) => numbers(sc).min((a, b) => b - a),
  isEmpty: async ({ sc }) => [await numbers(sc).isEmpty(), await sc.emptyRDD().isEmpty()],
  foreach: async ({ sc }) => {
    const sum = sc.longAccumulator()
    await numbers(sc).foreach((n) => sum.add(n))
    return [sum.value, sum.count]
  },
  foreachPartition: async ({ sc }) => {
    const all = sc.collectionAccumulator<readonly [number, number]>()
    await numbers(sc).foreachPartition(async (records, partition) => all.add([partition, [...records].length]))
    return [...all.value].sort()
  },
  countAsync: ({ sc }) => numbers(sc).countAsync(),
  collectAsync: ({ sc }) => numbers(sc).collectAsync(),
  takeAsync: ({ sc }) => numbers(sc).takeAsync(3),
  foreachAsync: async ({ sc }) => {
    const sum = sc.doubleAccumulator()
    await numbers(sc).foreachAsync((n) => sum.add(n / 2))
    return sum.value
  },
  foreachPartitionAsync: async ({ sc }) => {
    const sum = sc.longAccumulator()
    await numbers(sc).foreachPartitionAsync((records) => sum.add([...records].length))
    return sum.value
  },
  runJob: ({ sc }) => sc.runJob(numbers(sc), (records, partition) => [partition, ...records], [2, 0]),
  submitJob: ({ sc }) => sc.submitJob(numbers(sc), (records) => [...records].length),

  // Files
  saveAsTextFile: async ({ sc, directory }) => {
    const rdd = numbers(sc)
    await rdd.saveAsTextFile(`${directory}/text`)
    const again = await failure(rdd.saveAsTextFile(`${directory}/text`))
    return [await glommed(sc.textFile(`${directory}/text`)), again]
  },
  saveAsJsonFile: async ({ sc, directory }) => {
    await pairs(sc).saveAsJsonFile(`${directory}/json`, { gzip: true })
    return glommed(sc.textFile(`${directory}/json`))
  },
  saveAsObjectFile: async ({ sc, directory }) => {
    await pairs(sc).saveAsObjectFile(`${directory}/objects`)
    return glommed(sc.objectFile(`${directory}/objects`))
  },
  objectFile: async ({ sc, directory }) => {
    await sc.parallelize([new Map([[1n, new Date(5)]])], 1).saveAsObjectFile(`${directory}/objects`)
    return sc.objectFile(`${directory}/objects`).collect()
  },
  textFile: ({ sc, data }) => glommed(sc.textFile(`${data}/*.txt`, 3)),
  'textFile, a path from where the driver works': ({ sc }) => glommed(sc.textFile('test/support/data/words.txt')),
  wholeTextFiles: ({ sc, data }) =>
    sc
      .wholeTextFiles(data)
      .mapValues((text) => text.length)
      .values()
      .collect(),
  binaryFiles: ({ sc, data }) => sc.binaryFiles(data).values().collect(),
  binaryRecords: ({ sc, data }) => glommed(sc.binaryRecords(`${data}/words.txt`, 4)),

  // Kept
  persist: async ({ sc }) => {
    const calls = sc.longAccumulator()
    const kept = numbers(sc)
      .map((n) => {
        calls.add(1)
        return n + 1
      })
      .persist(StorageLevel.MEMORY_AND_DISK_2)
    return [await glommed(kept), await glommed(kept.map((n) => -n)), calls.value]
  },
  cache: async ({ sc }) => {
    const kept = pairs(sc).reduceByKey(plus, 2).cache()
    return [await glommed(kept), await kept.join(kept).count()]
  },
  unpersist: async ({ sc }) => {
    const calls = sc.longAccumulator()
    const rdd = numbers(sc).map((n) => {
      calls.add(1)
      return n
    })
    rdd.persist()
    await rdd.count()
    rdd.unpersist()
    return [await rdd.count(), calls.value]
  },
  getStorageLevel: ({ sc }) => String(numbers(sc).persist(StorageLevel.DISK_ONLY).getStorageLevel()),
  setCheckpointDir: async ({ sc, directory }) => {
    sc.setCheckpointDir(directory)
    return sc.getCheckpointDir()?.slice(directory.length)
  },
  getCheckpointDir: ({ sc, directory }) => [typeof sc.getCheckpointDir(), directory.length > 0],
  checkpoint: async ({ sc, directory }) => {
    const before = sc.getCheckpointDir()
    sc.setCheckpointDir(directory)
    const calls = sc.longAccumulator()
    const rdd = pairs(sc)
      .map((pair) => {
        calls.add(1)
        return pair
      })
      .reduceByKey(plus, 2)
    rdd.checkpoint()
    if (before !== null) sc.setCheckpointDir(before)
    const first = await glommed(rdd)
    const computed = calls.value
    return [first, await glommed(rdd), rdd.isCheckpointed, calls.value === computed]
  },
  isCheckpointed: ({ sc }) => numbers(sc).isCheckpointed,
  getCheckpointFile: ({ sc }) => numbers(sc).getCheckpointFile(),
  localCheckpoint: async ({ sc }) => {
    const rdd = numbers(sc)
      .map((n) => n + 1)
      .localCheckpoint()
    return [await glommed(rdd), rdd.isCheckpointed, await glommed(rdd)]
  },

  // What an RDD knows of itself
  id: ({ sc }) => typeof numbers(sc).id,
  name: ({ sc }) => numbers(sc).name,
  setName: ({ sc }) => numbers(sc).setName('numbers').name,
  partitioner: ({ sc }) => [numbers(sc).partitioner, pairs(sc).partitionBy(2).partitioner?.partitions],
  numPartitions: ({ sc }) => numbers(sc).numPartitions,
  getNumPartitions: ({ sc }) => numbers(sc).getNumPartitions(),
  dependencies: ({ sc }) =>
    pairs(sc)
      .groupByKey()
      .dependencies.map(({ type }) => type),
  preferredLocations: ({ sc }) => numbers(sc).preferredLocations(0),
  sparkContext: ({ sc }) => numbers(sc).sparkContext === sc,
  toDebugString: ({ sc }) =>
    pairs(sc)
      .groupByKey(2)
      .toDebugString()
      .replace(/\[\d+\]/g, ''),

  // Pairs
  groupByKey: ({ sc }) => glommed(pairs(sc).groupByKey()),
  reduceByKey: ({ sc }) => glommed(pairs(sc).reduceByKey(plus, 2)),
  'reduceByKey, many keys': async ({ sc }) => {
    const sums = sc
      .range(0, 40_000, 1, 4)
      .map((n) => [`key ${n % 20_000}`, n])
      .reduceByKey(plus, 3)
    return sums
      .glom()
      .map((all) => [all.length, all.reduce((sum, [, n]) => sum + n, 0), all[7]])
      .collect()
  },
  'reduceByKey, one key of all': ({ sc }) =>
    glommed(
      sc
        .range(0, 30_000, 1, 3)
        .map((n) => ['k', n])
        .reduceByKey(plus, 4),
    ),
  'reduceByKey, keys by value': ({ sc }) =>
    glommed(
      numbers(sc)
        .map((n) => [{ rest: n % 3 }, n])
        .reduceByKey(plus),
    ),
  aggregateByKey: ({ sc }) =>
    glommed(
      pairs(sc).aggregateByKey(
        '' as string,
        (text, n) => `${text}.${n}`,
        (a, b) => `${a}|${b}`,
        2,
      ),
    ),
  foldByKey: ({ sc }) => glommed(pairs(sc).foldByKey(100, plus)),
  combineByKey: ({ sc }) =>
    glommed(
      pairs(sc).combineByKey(
        String,
        (text, n) => `${text},${n}`,
        (a, b) => `${a};${b}`,
      ),
    ),
  'combineByKey, no combining before': ({ sc }) =>
    glommed(
      pairs(sc).combineByKey(
        String,
        (text, n) => `${text},${n}`,
        (a, b) => `${a};${b}`,
        2,
        false,
      ),
    ),
  cogroup: ({ sc }) => glommed(pairs(sc).cogroup(others(sc))),
  groupWith: ({ sc }) => glommed(pairs(sc).groupWith(others(sc), pairs(sc))),
  join: ({ sc }) => glommed(pairs(sc).join(others(sc), 2)),
  'join of two that lie alike': ({ sc }) => {
    const placed = pairs(sc).partitionBy(3)
    return glommed(placed.join(placed.mapValues((n) => -n)))
  },
  leftOuterJoin: ({ sc }) => glommed(pairs(sc).leftOuterJoin(others(sc))),
  rightOuterJoin: ({ sc }) => glommed(pairs(sc).rightOuterJoin(others(sc))),
  fullOuterJoin: ({ sc }) => glommed(pairs(sc).fullOuterJoin(others(sc))),
  subtractByKey: ({ sc }) => glommed(pairs(sc).subtractByKey(others(sc))),
  mapValues: ({ sc }) => glommed(pairs(sc).mapValues((n) => n / 4)),
  flatMapValues: ({ sc }) => glommed(pairs(sc).flatMapValues((n) => [n, -n])),
  keys: ({ sc }) => glommed(pairs(sc).keys()),
  values: ({ sc }) => glommed(pairs(sc).values()),
  partitionBy: ({ sc }) => glommed(pairs(sc).partitionBy(new HashPartitioner(4))),
  'partitionBy ranges': ({ sc }) => glommed(pairs(sc).partitionBy(new RangePartitioner(2, pairs(sc)))),
  "partitionBy, a partitioner of the user's": ({ sc }) => glommed(pairs(sc).partitionBy(byLetter)),
  sampleByKey: ({ sc }) => glommed(pairs(sc).sampleByKey(false, { a: 0.5, b: 1, c: 0, d: 0.5 }, 3)),
  sampleByKeyExact: ({ sc }) => glommed(pairs(sc).sampleByKeyExact(false, { a: 0.5, b: 1, c: 0, d: 0.5 }, 3)),
  countApproxDistinctByKey: ({ sc }) => glommed(pairs(sc).countApproxDistinctByKey()),
  countByKey: ({ sc }) => pairs(sc).countByKey(),
  countByKeyApprox: async ({ sc }) => (await pairs(sc).countByKeyApprox('1m')).getFinalValue(),
  reduceByKeyLocally: ({ sc }) => pairs(sc).reduceByKeyLocally(plus),
  lookup: async ({ sc }) => [await pairs(sc).lookup('b'), await pairs(sc).partitionBy(3).lookup('c')],
  collectAsMap: ({ sc }) => others(sc).collectAsMap(),

  // Numbers
  sum: ({ sc }) => numbers(sc).sum(),
  sumApprox: async ({ sc }) => (await numbers(sc).sumApprox('1m')).getFinalValue(),
  mean: ({ sc }) => numbers(sc).mean(),
  meanApprox: async ({ sc }) => (await numbers(sc).meanApprox('1m')).getFinalValue(),
  variance: ({ sc }) => numbers(sc).variance(),
  popVariance: ({ sc }) => numbers(sc).popVariance(),
  stdev: ({ sc }) => numbers(sc).stdev(),
  popStdev: ({ sc }) => numbers(sc).popStdev(),
  sampleVariance: ({ sc }) => numbers(sc).sampleVariance(),
  sampleStdev: ({ sc }) => numbers(sc).sampleStdev(),
  stats: async ({ sc }) => String(await numbers(sc).stats()),
  histogram: async ({ sc }) => [await numbers(sc).histogram(3), await numbers(sc).histogram([0, 2, 10])],

  // Shared values, and jobs as such
  broadcast: ({ sc }) => {
    const names = sc.broadcast(new Map([[1, 'one']]))
    return glommed(numbers(sc).map((n) => names.value.get(n) ?? '?'))
  },
  longAccumulator: async ({ sc }) => {
    const sum = sc.longAccumulator('sum')
    await numbers(sc)
      .map((n) => sum.add(n))
      .count()
    return [sum.value, sum.count, sum.avg]
  },
  doubleAccumulator: async ({ sc }) => {
    const sum = sc.doubleAccumulator()
    await pairs(sc)
      .reduceByKey((a, b) => {
        sum.add(0.5)
        return a + b
      }, 2)
      .count()
    return sum.value
  },
  collectionAccumulator: async ({ sc }) => {
    const all = sc.collectionAccumulator<number>()
    await numbers(sc).foreach((n) => all.add(n))
    return [...all.value].sort((a, b) => a - b)
  },
  setJobGroup: async ({ sc }) => {
    sc.setJobGroup('a group', 'what it is for')
    const seen = [sc.getLocalProperty('spark.jobGroup.id'), await numbers(sc).count()]
    sc.clearJobGroup()
    return [...seen, sc.getLocalProperty('spark.jobGroup.id')]
  },
  cancelJobGroup: async ({ sc }) => {
    sc.setJobGroup('to be cancelled')
    const waiting = failure(
      numbers(sc)
        .mapPartitions((records) => [...records])
        .count(),
    )
    sc.cancelJobGroup('to be cancelled')
    sc.clearJobGroup()
    return waiting
  },
}

/** Records that are easily changed on their way. */
const everyKind: readonly Item[] = [
  ...[
    undefined,
    null,
    true,
    Number.NaN,
    -0,
    0,
    Number.POSITIVE_INFINITY,
    1e300,
    2 ** 40,
    -(2n ** 70n),
    '',
    'ü 💡',
    'long '.repeat(500),
  ],
  ...[new Date(1e12), new Map([[{ a: 1 }, [1n]]]), new Set(['x', 2]), new Uint8Array([1, 2]), new Float64Array([0.5])],
  ...[[], {}, [[]], { deep: [{ er: undefined }], b: null }, ['k', { v: 1 }]],
]

/** The code of the error a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    return ['no failure', await promise]
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}
