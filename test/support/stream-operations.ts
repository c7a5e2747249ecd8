/**
 * Every operation of DStream as a small graph over batches: what it gives must be the same wherever it runs. The name of a graph
 * begins with the operation, as docs/operations.md has it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type DStream,
  HashPartitioner,
  type Pair,
  type RDD,
  type State,
  StateSpec,
  StorageLevel,
  type StreamingContext,
} from 'millrace'

/** A graph over batches of numbers, from which it makes what it needs. */
export type StreamOperation = (numbers: DStream<number>, ssc: StreamingContext) => DStream<unknown>

/** The batches all graphs run over; the third has no records. */
export const numberBatches: readonly (readonly number[])[] = [
  [1, 2, 3, 4, 5],
  [2, 4, 4, 6],
  [],
  [7, 1, 1],
  [5, 9, 2, 3],
]

const plus = (a: number, b: number): number => a + b
const minus = (a: number, b: number): number => a - b
const pairs = (numbers: DStream<number>): DStream<Pair<string, number>> => numbers.map((n) => ['abc'[n % 3]!, n])
const others = (numbers: DStream<number>): DStream<Pair<string, string>> =>
  numbers.filter((n) => n > 2).map((n) => ['bcd'[n % 3]!, `other ${n}`])
/** The partitions as records: equal only where each record lies in the same place. */
const glommed = <T>(stream: DStream<T>): DStream<T[]> => stream.glom()

export const streamOperations: Readonly<Record<string, StreamOperation>> = {
  map: (s) => glommed(s.map((n) => n * 2)),
  filter: (s) => glommed(s.filter((n) => n % 2 === 0)),
  flatMap: (s) => glommed(s.flatMap((n) => Array.from({ length: n % 3 }, () => n))),
  mapPartitions: (s) => glommed(s.mapPartitions(async (records) => [...records].reverse())),
  mapPartitionsWithIndex: (s) =>
    glommed(s.mapPartitionsWithIndex((i, records) => [...records].map((n): Pair<number, number> => [i, n]))),
  glom: (s) => s.glom(),
  repartition: (s) => glommed(s.repartition(3)),
  reduce: (s) => s.reduce(plus),
  count: (s) => s.count(),
  countByValue: (s) => glommed(s.countByValue(2)),
  union: (s) => glommed(s.union(s.map((n) => -n)).union(s.map(String))),
  transform: (s) => glommed(s.transform((rdd, time) => rdd.map((n) => n + time).sortBy((n) => -n))),
  transformWith: (s) =>
    glommed(
      s.transformWith(
        s.map((n) => n * 10),
        (a, b) => a.zip(b),
      ),
    ),
  'transform of a context': (s, ssc) =>
    glommed(ssc.transform([s, s.map(String)], ([a, b]) => a.cartesian(b).filter(([n, text]) => text === String(n)))),
  'union of a context': (s, ssc) => glommed(ssc.union([s, s.filter((n) => n > 3)])),
  constantStream: (s, ssc) => {
    const table = ssc.sparkContext
      .parallelize([['a', 'A'] as const, ['b', 'B'] as const], 2)
      .map(([k, v]) => [k, v + k])
    return glommed(pairs(s).transformWith(ssc.constantStream(table), (a, b) => a.join(b)))
  },

  // Windows
  window: (s) => glommed(s.window(3000, 2000)),
  reduceByWindow: (s) => s.reduceByWindow(plus, 3000),
  'reduceByWindow with inverse': (s) => s.reduceByWindow(plus, minus, 3000, 1000),
  countByWindow: (s) => s.countByWindow(2000),
  countByValueAndWindow: (s) => glommed(s.countByValueAndWindow(3000, 1000, 2)),
  groupByKeyAndWindow: (s) => glommed(pairs(s).groupByKeyAndWindow(2000, 1000, 2)),
  reduceByKeyAndWindow: (s) => glommed(pairs(s).reduceByKeyAndWindow(plus, 3000, 1000, 2)),
  'reduceByKeyAndWindow with inverse and filter': (s) =>
    glommed(pairs(s).reduceByKeyAndWindow(plus, minus, 2000, 1000, 2, ([, sum]) => sum !== 0)),

  // Pairs
  groupByKey: (s) => glommed(pairs(s).groupByKey(2)),
  reduceByKey: (s) => glommed(pairs(s).reduceByKey(plus, 3)),
  combineByKey: (s) =>
    glommed(
      pairs(s).combineByKey(
        String,
        (text, n) => `${text},${n}`,
        (a, b) => `${a};${b}`,
        2,
      ),
    ),
  mapValues: (s) => glommed(pairs(s).mapValues((n) => n / 4)),
  flatMapValues: (s) => glommed(pairs(s).flatMapValues((n) => [n, -n])),
  partitionBy: (s) => glommed(pairs(s).partitionBy(new HashPartitioner(3))),
  "partitionBy, a partitioner of the user's": (s) =>
    glommed(pairs(s).partitionBy({ numPartitions: 2, getPartition: (key) => (key === 'a' ? 0 : 1) })),
  join: (s) => glommed(pairs(s).join(others(s), 2)),
  leftOuterJoin: (s) => glommed(pairs(s).leftOuterJoin(others(s), 2)),
  rightOuterJoin: (s) => glommed(pairs(s).rightOuterJoin(others(s), 2)),
  fullOuterJoin: (s) => glommed(pairs(s).fullOuterJoin(others(s), 2)),
  cogroup: (s) => glommed(pairs(s).cogroup(others(s), 2)),

  // State
  updateStateByKey: (s) =>
    glommed(pairs(s).updateStateByKey((values, sum: number | null) => values.reduce(plus, sum ?? 0), 2, [['z', 9]])),
  updateStateByKeyWithTime: (s) =>
    glommed(
      pairs(s).updateStateByKeyWithTime(
        (time, key, values, text: string | null) => (values.length > 2 ? null : `${text ?? key}${time}:${values};`),
        2,
      ),
    ),
  updateStateByKeyPartitions: (s) =>
    glommed(
      pairs(s).updateStateByKeyPartitions<string, number, number>(function* (keys) {
        for (const [key, values, sum] of keys) yield [key, values.reduce(plus, sum ?? 0)] as const
      }, 2),
    ),
  mapWithState: (s) => glommed(pairs(s).mapWithState(runningSum())),
  'mapWithState, a time-out': (s) =>
    glommed(
      pairs(s)
        .mapWithState(
          StateSpec.functionWithTime((time, key: string, n: number | null, sum: State<number>) => {
            if (sum.isTimingOut()) return `${key} is gone at ${time}`
            sum.update((sum.getOption() ?? 0) + (n ?? 0))
            return `${key} ${sum.get()}`
          })
            .timeout(1000)
            .numPartitions(2),
        )
        .checkpoint(1000),
    ),
  'mapWithState, states that are removed': (s) =>
    glommed(
      pairs(s).mapWithState(
        StateSpec.function((key: string, n: number | null, state: State<number>) => {
          const before = state.exists() ? state.get() : null
          if (n === 4) state.remove()
          else state.update(n ?? 0)
          return [key, before, n]
        }).partitioner(new HashPartitioner(2)),
      ),
    ),
  'stateSnapshots of mapWithState': (s) => glommed(pairs(s).mapWithState(runningSum()).stateSnapshots()),

  // Kept, cut, named
  persist: (s) => {
    const kept = s.map((n) => n + 1).persist(StorageLevel.MEMORY_AND_DISK_2)
    return glommed(kept.union(kept.map((n) => -n)))
  },
  cache: (s) => glommed(pairs(s).reduceByKey(plus, 2).cache().window(2000)),
  checkpoint: (s) =>
    glommed(
      s
        .map((n) => n + 1)
        .window(2000)
        .checkpoint(2000),
    ),
  named: (s) => glommed(s.map((n) => n + 1).named('more')),
}

/** What ends a stream. Of each, once the batches are done: what it did. */
export function streamOutputs(
  s: DStream<number>,
  ssc: StreamingContext,
  directory: string,
): Readonly<Record<string, () => unknown>> {
  const { sparkContext: sc } = ssc
  const byPartition = sc.collectionAccumulator<readonly number[]>()
  pairs(s).foreachPartition(async (records, partition) => byPartition.add([partition, [...records].length]))
  const doubled = s.map((n) => n * 2)
  doubled.print(2)
  doubled.saveAsTextFiles(`${directory}/text`, 'txt')
  doubled.saveAsJsonFiles(`${directory}/json`)
  doubled.saveAsObjectFiles(`${directory}/objects`)
  const inDriver: unknown[] = []
  const minus = 1
  pairs(s)
    .reduceByKey(plus, 2)
    .foreachRDD(async (rdd, time) => {
      const kept = rdd.mapValues((n) => n - minus).persist()
      inDriver.push([time, await glommedRdd(kept), await glommedRdd(kept.join(rdd).sortByKey())])
      inDriver.push(await glommedRdd(kept.map(([k, n]) => [n % 2, k]).groupByKey(3)), await rdd.count())
      kept.unpersist()
    })
  // So that slices can be had of all of them.
  ssc.remember('1m')
  const contents = (name: string): unknown =>
    readdirSync(directory)
      .filter((batch) => batch.startsWith(name))
      .sort()
      .flatMap((batch) => readdirSync(join(directory, batch)).map((part) => join(batch, part)))
      .map((part) => [part, readFileSync(join(directory, part), 'latin1')])
  return {
    foreachRDD: () => inDriver,
    foreachPartition: () => [...byPartition.value].sort(),
    saveAsTextFiles: () => contents('text'),
    saveAsJsonFiles: () => contents('json'),
    saveAsObjectFiles: () => contents('objects'),
    slice: () => Promise.all(doubled.slice(2000, 4000).map((rdd) => rdd.glom().collect())),
  }
}

function glommedRdd<T>(rdd: RDD<T>): Promise<T[][]> {
  return rdd.glom().collect()
}

function runningSum(): StateSpec<string, number, number, Pair<string, number>> {
  return StateSpec.function<string, number, number, Pair<string, number>>((key, n, sum) => {
    sum.update((sum.getOption() ?? 0) + (n ?? 0))
    return [key, sum.get()]
  })
    .numPartitions(2)
    .initialState([['b', 100]])
}
