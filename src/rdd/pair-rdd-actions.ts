/** Results of RDDs of pairs that come to the driver, and samples by key. */
import { MillraceError } from '../errors.js'
import { combined, type Partitioning } from './combination.js'
import { HyperLogLog, sketchBits } from './hyper-log-log.js'
import { hashKey, identityOf, KeyedMap } from './keys.js'
import type { Item, Pair } from './pair.js'
import { PairRddJoins } from './pair-rdd-joins.js'
import { partitionFunction } from './partitioner.js'
import { anySeed, mix, poisson, randomFrom } from './random.js'
import type { RDD } from './rdd.js'
import { libraryFunction, userFunction } from './task-function.js'

/** For each key the share of its pairs to take: a Map, an object, or pairs. */
export type Fractions<K> = ReadonlyMap<K, number> | Readonly<Record<string, number>> | readonly Pair<K, number>[]

export abstract class PairRddActions extends PairRddJoins {
  /** How many pairs each key has. */
  async countByKey<K>(this: RDD<Pair<K, unknown>>): Promise<Map<K, number>> {
    return this.keys().countByValue()
  }

  /** The pairs as a Map; of several values of a key the last wins. */
  async collectAsMap<K, V>(this: RDD<Pair<K, V>>): Promise<Map<K, V>> {
    return toMap(await this.collect())
  }

  /** The values of each key made one by `f`, as a Map. */
  async reduceByKeyLocally<K, V extends Item>(this: RDD<Pair<K, V>>, f: (a: V, b: V) => V): Promise<Map<K, V>> {
    const partials = (
      await this.mapped<Pair<K, V>>({ type: 'iterate', f: reducePairs(userFunction(f)) }).run('reduceByKeyLocally')
    ).flat()
    const reduced = new KeyedMap<V>()
    for (const [key, value] of partials) reduced.set(key, reduced.has(key) ? f(reduced.get(key) as V, value) : value)
    return new Map(reduced.entries() as Iterable<[K, V]>)
  }

  /** The values of one key. Looks into one partition only when it is known where keys lie. */
  async lookup<K, V>(this: RDD<Pair<K, V>>, key: NoInfer<K>): Promise<V[]> {
    const { partitioner } = this
    const isPlaced = partitioner !== null && (partitioner.type !== 'range' || partitioner.bounds !== null)
    const partitions = isPlaced ? [partitionFunction(partitioner)(key)] : null
    return (await this.mapped<V>({ type: 'iterate', f: valuesAt(key) }).run('lookup', partitions)).flat()
  }

  /** A random part of the pairs of each key. A key that `fractions` does not have fails the job. */
  sampleByKey<K, V>(
    this: RDD<Pair<K, V>>,
    withReplacement: boolean,
    fractions: Fractions<K>,
    seed: number = anySeed(),
  ): RDD<Pair<K, V>> {
    const shares = pairsOf(fractions)
    return this.mapped({ type: 'iterate', f: sampleKeyed(withReplacement, shares, seed) }, true)
  }

  /** As `sampleByKey`, exactly the rounded-up share of each key: all pairs of a key are looked at in one place. */
  sampleByKeyExact<K, V>(
    this: RDD<Pair<K, V>>,
    withReplacement: boolean,
    fractions: Fractions<K>,
    seed: number = anySeed(),
  ): RDD<Pair<K, V>> {
    const f = drawExactly(withReplacement, pairsOf(fractions), seed)
    return this.groupByKey().mapped({ type: 'flatMap', f })
  }

  /** About how many different values each key has; see `countApproxDistinct`. */
  countApproxDistinctByKey<K, V>(
    this: RDD<Pair<K, V>>,
    relativeSd = 0.05,
    partitioning?: Partitioning,
  ): RDD<Pair<K, number>> {
    const bits = sketchBits(relativeSd)
    const combiner = {
      create: sketchOf(bits),
      mergeValue: addToSketch(bits),
      mergeCombiners: mergeSketches(bits),
      mapSide: true,
    }
    return combined<K, Uint8Array>(this, combiner, partitioning).mapped(
      { type: 'mapValues', f: estimateOf(bits) },
      true,
    )
  }
}

function toMap<K, V>(pairs: readonly Pair<K, V>[]): Map<K, V> {
  const map = new KeyedMap<V>()
  for (const [key, value] of pairs) map.set(key, value)
  return new Map(map.entries() as Iterable<[K, V]>)
}

function pairsOf<K>(fractions: Fractions<K>): readonly Pair<unknown, number>[] {
  if (Array.isArray(fractions)) return fractions
  return [...(fractions instanceof Map ? fractions : Object.entries(fractions))]
}

function shareOf(shares: ReadonlyMap<unknown, number>, key: unknown): number {
  const share = shares.get(identityOf(key))
  if (share === undefined)
    throw new MillraceError('ILLEGAL_ARGUMENT', `The fractions have none for the key ${JSON.stringify(key)}.`)
  return share
}

function sharesByIdentity(shares: readonly Pair<unknown, number>[]): Map<unknown, number> {
  return new Map(shares.map(([key, share]) => [identityOf(key), share]))
}

type AnyPair = Pair<unknown, unknown>

const reducePairs = libraryFunction(
  'reducePairs',
  (f: (a: unknown, b: unknown) => unknown) => (pairs: Iterable<AnyPair>) => {
    const reduced = new KeyedMap<{ value: unknown }>()
    for (const [key, value] of pairs) {
      const entry = reduced.get(key)
      if (entry === undefined) reduced.set(key, { value })
      else entry.value = f(entry.value, value)
    }
    return Array.from(reduced, ([key, { value }]) => [key, value])
  },
)
const valuesAt = libraryFunction('valuesAt', (wanted: unknown) => {
  const id = identityOf(wanted)
  return function* (pairs: Iterable<AnyPair>) {
    for (const [key, value] of pairs) if (identityOf(key) === id) yield value
  }
})
const sampleKeyed = libraryFunction(
  'sampleKeyed',
  (withReplacement: boolean, shares: readonly Pair<unknown, number>[], seed: number) => {
    const byKey = sharesByIdentity(shares)
    return function* (pairs: Iterable<AnyPair>, partition: number) {
      const random = randomFrom(seed, partition)
      for (const pair of pairs) {
        const share = shareOf(byKey, pair[0])
        const times = withReplacement ? poisson(share, random) : Number(random() < share)
        for (let n = 0; n < times; n++) yield pair
      }
    }
  },
)
const drawExactly = libraryFunction(
  'drawExactly',
  (withReplacement: boolean, shares: readonly Pair<unknown, number>[], seed: number) => {
    const byKey = sharesByIdentity(shares)
    return ([key, values]: Pair<unknown, unknown[]>) => {
      const random = randomFrom(seed, mix(hashKey(key)))
      const wanted = Math.ceil(shareOf(byKey, key) * values.length)
      const left = [...values]
      return Array.from({ length: withReplacement ? wanted : Math.min(wanted, values.length) }, () => {
        const i = Math.floor(random() * left.length)
        const value = left[i]
        if (!withReplacement) {
          left[i] = left.at(-1)
          left.pop()
        }
        return [key, value]
      })
    }
  },
)
const sketchOf = libraryFunction('sketchOf', (bits: number) => (value: unknown) => {
  const sketch = new HyperLogLog(bits)
  sketch.add(value)
  return sketch.registers
})
const addToSketch = libraryFunction('addToSketch', (bits: number) => (registers: Uint8Array, value: unknown) => {
  new HyperLogLog(bits, registers).add(value)
  return registers
})
const mergeSketches = libraryFunction('mergeSketches', (bits: number) => (a: Uint8Array, b: Uint8Array) => {
  new HyperLogLog(bits, a).merge(b)
  return a
})
const estimateOf = libraryFunction(
  'estimateOf',
  (bits: number) => (registers: Uint8Array) => new HyperLogLog(bits, registers).estimate(),
)
