/** Random pipelines, and what they mean over plain arrays: the model that streams are compared with. */
import fc from 'fast-check'
import type { DStream, Pair } from 'millrace'

export type Batches<T> = readonly (readonly T[])[]
export type Numbered = Pair<string, number>

/** One operation on pairs, on a stream and on arrays of batches. */
export interface Operation {
  readonly name: string
  readonly stream: (s: DStream<Numbered>) => DStream<Numbered>
  readonly model: (batches: Batches<Numbered>) => Batches<Numbered>
  /** False where cutting the same records into other batches gives other records. */
  readonly isPerRecord: boolean
}

const perRecord = (
  name: string,
  stream: Operation['stream'],
  each: (records: readonly Numbered[]) => Numbered[],
): Operation => ({ name, stream, model: (batches) => batches.map((batch) => each(batch)), isPerRecord: true })

const perBatch = (
  name: string,
  stream: Operation['stream'],
  each: (records: readonly Numbered[]) => Numbered[],
): Operation => ({ name, stream, model: (batches) => batches.map((batch) => each(batch)), isPerRecord: false })

export const plus = (a: number, b: number): number => a + b
export const minus = (a: number, b: number): number => a - b

/** The values of each key, keys in order of first appearance. */
export function grouped(records: readonly Numbered[]): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const [key, value] of records) groups.set(key, [...(groups.get(key) ?? []), value])
  return groups
}

export const reduced = (records: readonly Numbered[], f = plus): Numbered[] =>
  Array.from(grouped(records), ([key, values]): Numbered => [key, values.reduce((a, b) => f(a, b))])

/** The records of the last `length` batches, every `slide` batches. */
export function windows<T>(batches: Batches<T>, length: number, slide: number): T[][] {
  return batches
    .map((_, i) => batches.slice(Math.max(0, i + 1 - length), i + 1).flat())
    .filter((_, i) => (i + 1) % slide === 0)
}

const narrow: fc.Arbitrary<Operation> = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map((n) =>
    perRecord(
      `mapValues(+ ${n})`,
      (s) => s.mapValues((v) => v + n),
      (records) => records.map(([k, v]) => [k, v + n]),
    ),
  ),
  fc.integer({ min: 2, max: 4 }).map((n) =>
    perRecord(
      `filter(not divisible by ${n})`,
      (s) => s.filter(([, v]) => v % n !== 0),
      (records) => records.filter(([, v]) => v % n !== 0),
    ),
  ),
  fc.integer({ min: 0, max: 3 }).map((n) =>
    perRecord(
      `flatMap(${n} times)`,
      (s) => s.flatMap(([k, v]) => Array.from({ length: n }, (_, i): Numbered => [k, v + i])),
      (records) => records.flatMap(([k, v]) => Array.from({ length: n }, (_, i): Numbered => [k, v + i])),
    ),
  ),
  fc.constant(
    perRecord(
      'map(swap)',
      (s) => s.map(([k, v]): Numbered => [String(v % 3), k.length]),
      (records) => records.map(([k, v]) => [String(v % 3), k.length]),
    ),
  ),
  fc.integer({ min: 1, max: 4 }).map((n) =>
    perRecord(
      `repartition(${n})`,
      (s) => s.repartition(n),
      (records) => [...records],
    ),
  ),
  fc.integer({ min: 1, max: 4 }).map((n) =>
    perRecord(
      `partitionBy(${n})`,
      (s) => s.partitionBy(n),
      (records) => [...records],
    ),
  ),
  fc.constant(
    perRecord(
      'mapPartitions, glom, flatMap',
      (s) =>
        s
          .mapPartitions((records) => [...records])
          .glom()
          .flatMap((all) => all.values()),
      (records) => [...records],
    ),
  ),
)

const ofBatches: fc.Arbitrary<Operation> = fc.oneof(
  fc.constantFrom(undefined, 1, 3).map((n) => perBatch(`reduceByKey(${n})`, (s) => s.reduceByKey(plus, n), reduced)),
  fc.constant(
    perBatch(
      'groupByKey, max',
      (s) => s.groupByKey().mapValues((values) => Math.max(...values)),
      (records) => reduced(records, Math.max),
    ),
  ),
  fc.constant(
    perBatch(
      'countByValue',
      (s) => s.countByValue().map(([[k, v], n]): Numbered => [k + v, n]),
      (records) => {
        const counts = new Map<string, Numbered>()
        for (const [k, v] of records) {
          const id = JSON.stringify([k, v])
          counts.set(id, [k + v, (counts.get(id)?.[1] ?? 0) + 1])
        }
        return [...counts.values()]
      },
    ),
  ),
  fc.constant(
    perBatch(
      'join with itself',
      (s) => s.join(s.mapValues((v) => v * 2)).mapValues(([a, b]) => a + b),
      (records) =>
        records.flatMap(([k, v]) => records.flatMap(([l, w]): Numbered[] => (k === l ? [[k, v + w * 2]] : []))),
    ),
  ),
  fc.constant(
    perBatch(
      'cogroup with a part of itself',
      (s) => s.cogroup(s.filter(([, v]) => v > 0)).mapValues(([all, positive]) => all.length * 10 + positive.length),
      (records) =>
        Array.from(grouped(records), ([k, all]): Numbered => [k, all.length * 10 + all.filter((v) => v > 0).length]),
    ),
  ),
  fc.constant(
    perBatch(
      'union with itself',
      (s) => s.union(s),
      (records) => [...records, ...records],
    ),
  ),
  fc.constant(
    perBatch(
      'transform(distinct)',
      (s) => s.transform((rdd) => rdd.distinct()),
      (records) => [...new Map(records.map((record) => [JSON.stringify(record), record])).values()],
    ),
  ),
)

/** Operations that look at more than one batch. */
const overBatches: fc.Arbitrary<Operation> = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map(
    (length): Operation => ({
      name: `window(${length})`,
      stream: (s) => s.window(length * 1000),
      model: (batches) => windows(batches, length, 1),
      isPerRecord: false,
    }),
  ),
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean()).map(
    ([length, isIncremental]): Operation => ({
      name: `reduceByKeyAndWindow(${length}, ${isIncremental ? 'with' : 'without'} inverse)`,
      stream: (s) =>
        isIncremental
          ? // Keys that left stay with 0 and a count of 0: the count tells them from those whose sum is 0.
            s
              .mapValues((v) => [v, 1])
              .reduceByKeyAndWindow(
                ([a, n], [b, m]) => [a + b, n + m],
                ([a, n], [b, m]) => [a - b, n - m],
                length * 1000,
                1000,
                undefined,
                ([, [, n]]) => n > 0,
              )
              .mapValues(([sum]) => sum)
          : s.reduceByKeyAndWindow(plus, length * 1000),
      model: (batches) => windows(batches, length, 1).map((records) => reduced(records)),
      isPerRecord: false,
    }),
  ),
  fc.constant<Operation>({
    name: 'updateStateByKey',
    stream: (s) => s.updateStateByKey((values, total: number | null) => values.reduce(plus, total ?? 0)),
    model: (batches) => batches.map((_, i) => reduced(batches.slice(0, i + 1).flat())),
    isPerRecord: false,
  }),
)

/** Up to `maxLength` operations, at most two of them over several batches. */
export function pipelines(maxLength: number): fc.Arbitrary<readonly Operation[]> {
  const few = fc.array(fc.oneof({ weight: 3, arbitrary: narrow }, { weight: 2, arbitrary: ofBatches }), { maxLength })
  return fc.tuple(few, fc.array(overBatches, { maxLength: 2 }), fc.nat()).map(([operations, wide, at]) => {
    const place = operations.length === 0 ? 0 : at % operations.length
    return [...operations.slice(0, place), ...wide, ...operations.slice(place)]
  })
}

/** Operations whose result does not depend on where batches are cut. */
export function recordPipelines(maxLength: number): fc.Arbitrary<readonly Operation[]> {
  return fc.array(narrow, { maxLength })
}

export const records: fc.Arbitrary<Numbered> = fc.tuple(
  fc.constantFrom('a', 'b', 'c', 'dd', ''),
  fc.integer({ min: -5, max: 5 }),
)

export const batchesOfRecords: fc.Arbitrary<Numbered[][]> = fc.array(fc.array(records, { maxLength: 8 }), {
  minLength: 1,
  maxLength: 6,
})

export function applied(stream: DStream<Numbered>, operations: readonly Operation[]): DStream<Numbered> {
  return operations.reduce((s, operation) => operation.stream(s), stream)
}

export function modelled(batches: Batches<Numbered>, operations: readonly Operation[]): Batches<Numbered> {
  return operations.reduce((b, operation) => operation.model(b), batches)
}
