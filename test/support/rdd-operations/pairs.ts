/** Programs over pairs. */
import { HashPartitioner, RangePartitioner } from 'millrace'
import { byLetter, glommed, numbers, others, type Programs, pairs, plus } from './ground.js'

export const pairOperations: Programs = {
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
}
