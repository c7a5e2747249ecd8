import { everyKind, fails, glommed, numbers, type Programs, pairs, plus, thrown } from './ground.js'

export const recordOperations: Programs = {
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
  'map, a function that throws': ({ sc }) => thrown(numbers(sc).map(fails).collect()),
  'mapPartitions, a function that throws': ({ sc }) =>
    thrown(
      numbers(sc)
        .mapPartitions((records) => [...records].map(fails))
        .count(),
    ),
  'reduceByKey, a function that throws': ({ sc }) =>
    thrown(
      pairs(sc)
        .reduceByKey((a, b) => a + fails(b))
        .collect(),
    ),
  'sortBy, a function that throws': ({ sc }) => thrown(numbers(sc).sortBy(fails).collect()),
  'foreach, a function that throws': ({ sc }) => thrown(numbers(sc).foreach((n) => void fails(n))),
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
}
