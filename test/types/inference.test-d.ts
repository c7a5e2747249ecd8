/** What TypeScript infers: no operation needs an annotation for what it can see. */
import {
  type DStream,
  defineJob,
  type MapWithStateDStream,
  type Pair,
  type RDD,
  type SparkContext,
  type State,
  StateSpec,
  type StreamingContext,
} from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expectTypeOf, test } from 'vitest'

declare const ssc: StreamingContext
declare const sc: SparkContext
declare const words: DStream<string>
declare const counts: DStream<Pair<string, number>>
declare const lines: RDD<string>

describe('pairs', () => {
  test('a literal of two items is a pair, whatever the operation', () => {
    expectTypeOf(words.map((word) => [word, 1])).toEqualTypeOf<DStream<[string, number]>>()
    expectTypeOf(words.flatMap((word) => [[word, 1]])).toEqualTypeOf<DStream<[string, number]>>()
    expectTypeOf(words.mapPartitions((all) => Array.from(all, (word) => [word, 1]))).toExtend<
      DStream<[string, number]>
    >()
    expectTypeOf(words.map((word) => (word > 'm' ? [word, 1] : [word, 2]))).toEqualTypeOf<DStream<[string, number]>>()
    expectTypeOf(sc.parallelize([['a', 1]])).toEqualTypeOf<RDD<[string, number]>>()
    expectTypeOf(ssc.queueStream([[['a', 1]], [['b', 2]]])).toEqualTypeOf<DStream<[string, number]>>()
  })

  test('a pair may be a key', () => {
    expectTypeOf(words.map((word) => [[word, word.length], 1]).reduceByKey((a, b) => a + b)).toEqualTypeOf<
      DStream<Pair<[string, number], number>>
    >()
  })

  test('word count', () => {
    const counted = words
      .flatMap((line) => line.split(' '))
      .map((word) => [word, 1])
      .reduceByKey((a, b) => a + b)
    expectTypeOf(counted).toEqualTypeOf<DStream<Pair<string, number>>>()
  })
})

describe('joins', () => {
  const flags = words.map((word) => [word, word === ''])

  test('know both sides and which may miss', () => {
    expectTypeOf(counts.join(flags)).toEqualTypeOf<DStream<Pair<string, readonly [number, boolean]>>>()
    expectTypeOf(counts.leftOuterJoin(flags)).toEqualTypeOf<DStream<Pair<string, readonly [number, boolean | null]>>>()
    expectTypeOf(counts.rightOuterJoin(flags)).toEqualTypeOf<DStream<Pair<string, readonly [number | null, boolean]>>>()
    expectTypeOf(counts.fullOuterJoin(flags)).toEqualTypeOf<
      DStream<Pair<string, readonly [number | null, boolean | null]>>
    >()
    expectTypeOf(counts.cogroup(flags)).toEqualTypeOf<DStream<Pair<string, readonly [number[], boolean[]]>>>()
  })

  test('of several RDDs', () => {
    const [a, b, c] = [lines.map((l) => [l, 1]), lines.map((l) => [l, 'x']), lines.map((l) => [l, true])] as const
    expectTypeOf(a.groupWith(b, c)).toEqualTypeOf<RDD<Pair<string, readonly [number[], string[], boolean[]]>>>()
  })

  test('of a stream with an RDD', () => {
    const table = lines.map((line) => [line, new Date()])
    expectTypeOf(counts.transform((rdd) => rdd.join(table))).toEqualTypeOf<
      DStream<Pair<string, readonly [number, Date]>>
    >()
    expectTypeOf(words.transformWith(counts, (_, pairs, time) => pairs.mapValues((n) => n + time))).toEqualTypeOf<
      DStream<Pair<string, number>>
    >()
    expectTypeOf(ssc.transform([words, counts], ([w, c]) => w.zip(c))).toEqualTypeOf<
      DStream<Pair<string, Pair<string, number>>>
    >()
  })
})

describe('windows', () => {
  test('of records and of pairs', () => {
    expectTypeOf(words.window('10s', '5s')).toEqualTypeOf<DStream<string>>()
    expectTypeOf(words.countByValueAndWindow('10s')).toEqualTypeOf<DStream<Pair<string, number>>>()
    expectTypeOf(words.countByWindow('10s')).toEqualTypeOf<DStream<number>>()
    expectTypeOf(counts.groupByKeyAndWindow('10s')).toEqualTypeOf<DStream<Pair<string, number[]>>>()
    expectTypeOf(
      counts.reduceByKeyAndWindow(
        (a, b) => a + b,
        (a, b) => a - b,
        '10s',
        '5s',
        2,
        ([, n]) => n > 0,
      ),
    ).toEqualTypeOf<DStream<Pair<string, number>>>()
  })
})

describe('means', () => {
  test('by key, as sums and counts', () => {
    const means = counts
      .mapValues((n) => [n, 1])
      .reduceByKey(([s, n], [t, m]) => [s + t, n + m])
      .mapValues(([sum, n]) => sum / n)
    expectTypeOf(means).toEqualTypeOf<DStream<Pair<string, number>>>()
    const windowed = counts
      .mapValues((n) => [n, 1])
      .reduceByKeyAndWindow(
        ([s, n], [t, m]) => [s + t, n + m],
        ([s, n], [t, m]) => [s - t, n - m],
        '10s',
      )
    expectTypeOf(windowed).toEqualTypeOf<DStream<Pair<string, [number, number]>>>()
  })
})

describe('state', () => {
  test('updateStateByKey takes the type of the state from its parameter', () => {
    expectTypeOf(counts.updateStateByKey((values, total: number | null) => (total ?? 0) + values.length)).toEqualTypeOf<
      DStream<Pair<string, number>>
    >()
    expectTypeOf(
      counts.updateStateByKeyWithTime((_time, key, values, seen: string[] | null) => [
        ...(seen ?? []),
        key,
        `${values[0]}`,
      ]),
    ).toEqualTypeOf<DStream<Pair<string, string[]>>>()
  })

  test('a state that may be undefined too, or be left out, is a state of what remains', () => {
    expectTypeOf(
      counts.updateStateByKey((values, total: number | null | undefined) => (total ?? 0) + values.length),
    ).toEqualTypeOf<DStream<Pair<string, number>>>()
    expectTypeOf(counts.updateStateByKey((_values, total?: number | null) => total)).toEqualTypeOf<
      DStream<Pair<string, number>>
    >()
    expectTypeOf(
      counts.updateStateByKeyWithTime((time, _key, _values, seen: Date | null | undefined) => seen ?? new Date(time)),
    ).toEqualTypeOf<DStream<Pair<string, Date>>>()
  })

  test('what a function of mapWithState returns may be a pair', () => {
    const totals = counts.mapWithState(StateSpec.function((key, value, _total: State<number>) => [key, value ?? 0]))
    expectTypeOf(totals.reduceByKey((a, b) => a + b)).toEqualTypeOf<DStream<Pair<string, number>>>()
    const times = counts.mapWithState(
      StateSpec.functionWithTime((time, key, value, _seen: State<number>) => (value === null ? null : [key, time])),
    )
    expectTypeOf(times.reduceByKey((a, b) => a + b)).toEqualTypeOf<DStream<Pair<string, number>>>()
  })

  test('mapWithState knows the result, and the states beside it', () => {
    const spec = StateSpec.function((word: string, one: number | null, total: State<number>) => {
      total.update((total.getOption() ?? 0) + (one ?? 0))
      return { word, total: total.get() }
    })
    const mapped = counts.mapWithState(spec.timeout('1m').initialState([['a', 1]]))
    expectTypeOf(mapped).toEqualTypeOf<MapWithStateDStream<string, number, { word: string; total: number }>>()
    expectTypeOf(mapped.stateSnapshots()).toEqualTypeOf<DStream<Pair<string, number>>>()
  })

  test('a function written in place is told key and value; it says the type of the state', () => {
    const mapped = counts.mapWithState(
      StateSpec.function((key, value, total: State<number>) => {
        expectTypeOf(key).toEqualTypeOf<string>()
        expectTypeOf(value).toEqualTypeOf<number | null>()
        total.update(value ?? 0)
        return key.length
      }),
    )
    expectTypeOf(mapped).toExtend<DStream<number>>()
  })
})

describe('RDDs', () => {
  test('aggregates', () => {
    expectTypeOf(
      lines.aggregate(
        { n: 0 },
        (sum, line) => ({ n: sum.n + line.length }),
        (a) => a,
      ),
    ).toEqualTypeOf<Promise<{ n: number }>>()
    expectTypeOf(
      lines
        .map((line) => [line, 1])
        .combineByKey(
          (n) => [n, 1],
          ([sum, count], n) => [sum + n, count + 1],
          ([s, c], [t, d]) => [s + t, c + d],
        ),
    ).toEqualTypeOf<RDD<Pair<string, [number, number]>>>()
    expectTypeOf(
      lines
        .map((line) => [line, [line.length, 1]] as [string, [number, number]])
        .reduceByKey(([s, n], [t, m]) => [s + t, n + m]),
    ).toEqualTypeOf<RDD<Pair<string, [number, number]>>>()
    expectTypeOf(
      lines.aggregate(
        [0, 0],
        ([sum, n], line) => [sum + line.length, n + 1],
        ([s, n], [t, m]) => [s + t, n + m],
      ),
    ).toEqualTypeOf<Promise<[number, number]>>()
    expectTypeOf(
      lines.map((line) => [line, [line.length, 1]]).reduceByKey(([s, n], [t, m]) => [s + t, n + m]),
    ).toEqualTypeOf<RDD<Pair<string, [number, number]>>>()
    expectTypeOf(lines.groupBy((line) => line.length)).toEqualTypeOf<RDD<Pair<number, string[]>>>()
    expectTypeOf(lines.keyBy((line) => [line, line.length]).collectAsMap()).toEqualTypeOf<
      Promise<Map<[string, number], string>>
    >()
  })

  test('a zero says what is added up, be it a number, a text, a pair or an object', () => {
    const lengths = lines.map((line) => [line, line.length])
    expectTypeOf(
      lengths.aggregateByKey(
        0,
        (sum, n) => sum + n,
        (a, b) => a + b,
      ),
    ).toEqualTypeOf<RDD<Pair<string, number>>>()
    expectTypeOf(
      lengths.aggregateByKey(
        '',
        (text, n) => text + n,
        (a, b) => a + b,
      ),
    ).toEqualTypeOf<RDD<Pair<string, string>>>()
    expectTypeOf(
      lengths.aggregateByKey(
        [0, 0],
        ([sum, count], n) => [sum + n, count + 1],
        ([s, c], [t, d]) => [s + t, c + d],
      ),
    ).toEqualTypeOf<RDD<Pair<string, [number, number]>>>()
    expectTypeOf(
      lengths.aggregateByKey(
        new Set<number>(),
        (seen, n) => seen.add(n),
        (a, b) => new Set([...a, ...b]),
      ),
    ).toEqualTypeOf<RDD<Pair<string, Set<number>>>>()
    expectTypeOf(
      lines.aggregate(
        0,
        (sum, line) => sum + line.length,
        (a, b) => a + b,
      ),
    ).toEqualTypeOf<Promise<number>>()
    expectTypeOf(lengths.foldByKey(0, (a, b) => a + b)).toEqualTypeOf<RDD<Pair<string, number>>>()
  })

  test('a type guard narrows', () => {
    const mixed = sc.parallelize(['a', 1])
    expectTypeOf(mixed.filter((x) => typeof x === 'string')).toEqualTypeOf<RDD<string>>()
    expectTypeOf(words.filter((word) => /a/.exec(word))).toEqualTypeOf<DStream<string>>()
  })
})

describe('the test harness and jobs', () => {
  test('runBatches knows its inputs and its output', () => {
    const run = runBatches({
      inputs: [[['a', 'b']], [[1], null, [2]]],
      build: ([letters, numbers]) => {
        expectTypeOf(letters).toEqualTypeOf<DStream<string>>()
        expectTypeOf(numbers).toEqualTypeOf<DStream<number>>()
        return numbers.map((n) => n + 1)
      },
    })
    expectTypeOf(run).toEqualTypeOf<Promise<(number[] | null)[]>>()
    const sums = runBatches({ inputs: [[[['a', 1]], []]], build: ([pairs]) => pairs.reduceByKey((a, b) => a + b) })
    expectTypeOf(sums).toEqualTypeOf<Promise<(Pair<string, number>[] | null)[]>>()
    const total = runBatches({ inputs: [[[], [1, 2]]], build: ([numbers]) => numbers.reduce((a, b) => a + b) })
    expectTypeOf(total).toEqualTypeOf<Promise<(number[] | null)[]>>()
  })

  test('a job needs no types', () => {
    defineJob({ name: 'typed' }, (context) => {
      expectTypeOf(context).toEqualTypeOf<StreamingContext>()
    })
  })
})
