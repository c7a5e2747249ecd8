import { failure, glommed, numbers, type Programs, pairs, plus } from './ground.js'

export const actionOperations: Programs = {
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
