/** A record on which a function of the user's fails: the error says in which batch, partition and operator, and on which record. */
import { type DStream, HashPartitioner, type MillraceError, type State, StateSpec } from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expect, it } from 'vitest'

type Build = (words: DStream<string>) => DStream<unknown>

/** Fails on what holds the poison; else gives it back. */
function taste<T>(value: T): T {
  if (JSON.stringify(value).includes('poison')) throw new Error('it tastes bad')
  return value
}

const operators: Record<string, { build: Build; operator: string; record?: string }> = {
  map: { build: (words) => words.map(taste), operator: '1-map', record: '"poison"' },
  flatMap: { build: (words) => words.flatMap((word) => [taste(word)]), operator: '1-flatMap', record: '"poison"' },
  'flatMap, as its results are asked for': {
    build: (words) =>
      words.flatMap(function* (word) {
        yield taste(word)
      }),
    operator: '1-flatMap',
    record: '"poison"',
  },
  'flatMap whose function returns no iterable': {
    build: (words) => words.flatMap((word) => (word === 'poison' ? (5 as unknown as string[]) : [word])),
    operator: '1-flatMap',
    record: '"poison"',
  },
  mapPartitions: {
    build: (words) => words.mapPartitions((records) => Array.from(records, taste)),
    operator: '1-mapPartitions',
    record: '"poison"',
  },
  'mapPartitions, as its results are asked for': {
    build: (words) =>
      words.mapPartitions(function* (records) {
        for (const record of records) yield taste(record)
      }),
    operator: '1-mapPartitions',
    record: '"poison"',
  },
  'mapPartitions after its last record': {
    build: (words) => words.mapPartitions((records) => taste([...records])),
    operator: '1-mapPartitions',
  },
  mapValues: {
    build: (words) => words.map((word): [number, string] => [1, word]).mapValues(taste),
    operator: '2-mapValues',
    record: '"poison"',
  },
  'reduceByKey before the shuffle': {
    build: (words) => words.map((word): [number, string] => [1, word]).reduceByKey((a, b) => a + taste(b)),
    operator: '2-reduceByKey',
    record: '"poison"',
  },
  'reduceByKey after the shuffle': {
    build: (words) =>
      words
        .repartition(4)
        .map((word): [number, string] => [1, word])
        .reduceByKey((a, b) => taste(a) + taste(b)),
    operator: '3-reduceByKey',
    record: '[1,"poison"]',
  },
  'a partitioner of the user': {
    build: (words) => {
      const placement = { numPartitions: 2, getPartition: (key: unknown) => (taste(key) === 'a' ? 0 : 1) }
      return words.map((word): [string, number] => [word, 1]).transform((rdd) => rdd.partitionBy(placement))
    },
    operator: '2-transform',
    record: '"poison"',
  },
  reduce: { build: (words) => words.reduce((a, b) => a + taste(b)), operator: '1-reduce', record: '"poison"' },
  'reduceByKeyAndWindow, in its filter': {
    build: (words) =>
      words
        .map((word): [string, number] => [word, 1])
        .reduceByKeyAndWindow(
          (a, b) => a + b,
          (a, b) => a - b,
          2000,
          1000,
          new HashPartitioner(1),
          ([word]) => taste(word) !== '',
        ),
    operator: '3-reduceByKeyAndWindow',
    record: '["poison",{"before":null,"left":null,"came":{"value":1}}]',
  },
  mapWithState: {
    build: (words) =>
      words
        .map((word): [string, number] => [word, 1])
        .mapWithState(
          StateSpec.function((word: string, n: number | null, state: State<number>) =>
            state.update(taste(word).length + (n ?? 0)),
          ),
        ),
    operator: '2-mapWithState',
    record: '["poison",1]',
  },
  updateStateByKey: {
    build: (words) =>
      words
        .map((word): [string, number] => [word.slice(0, 1), word.length])
        .updateStateByKey((lengths, longest: number | null) => {
          if (lengths.includes(6)) throw new Error('it tastes bad')
          return Math.max(longest ?? 0, ...lengths)
        }),
    operator: '2-updateStateByKey',
    record: '["p",[6]]',
  },
}

/** The error of a batch with a poisoned record among others. */
async function failureOf(master: string, build: Build): Promise<MillraceError> {
  const inputs = [[['a', 'b', 'c', 'poison']]] as const
  const run = runBatches({ inputs, build: ([words]: readonly [DStream<string>]) => build(words), master })
  return (await run.catch((thrown: unknown) => thrown)) as MillraceError
}

describe.each(['local', 'local[2]'])('on %s, the error of a poisoned record', (master) => {
  it.each(Object.entries(operators))('in %s', async (_, { build, operator, record }) => {
    const error = await failureOf(master, build)
    expect(error.code).toBe('BATCH_FAILED')
    expect(error.details).toMatchObject({ batchTime: 1000, outputId: 0, operator, partition: expect.any(Number) })
    expect(error.details.record).toBe(record)
    const on = record === undefined ? '' : ` on record ${record}`
    expect(error.message).toContain(`failed: Operator ${operator} failed${on}: `)
  })
})
