/** RDDs made of several others, or of their keys: union, zip, shuffle, cogroup. The operations of RDD and its pairs are written over these. */
import { MillraceError } from '../errors.js'
import { KeyedMap } from './keys.js'
import type { Combiner, PartitionRef } from './lineage.js'
import { forEachPaced, Pacer } from './pacer.js'
import type { Pair } from './pair.js'
import {
  type CustomPartitioner,
  customPlacement,
  HashPartitioner,
  type Partitioner,
  samePartitioner,
} from './partitioner.js'
import type { RDD } from './rdd.js'
import { libraryFunction, type TaskFunction } from './task-function.js'

/** How many partitions a shuffle makes, or how it places keys. Left out: as the inputs are, or the default parallelism. */
export type Partitioning = number | Partitioner | CustomPartitioner

/** The records of several RDDs in one: partitions add up, or merge pairwise when all lie by one partitioner. Throws `ILLEGAL_ARGUMENT` for none. */
export function unite<T>(rdds: readonly RDD<T>[]): RDD<T> {
  const [first] = rdds
  if (first === undefined) throw new MillraceError('ILLEGAL_ARGUMENT', 'A union needs at least one RDD.')
  if (rdds.length === 1) return first
  const pairwise = rdds.every((rdd) => samePartitioner(first.partitioner, rdd.partitioner))
  const groups: PartitionRef[][] = pairwise
    ? Array.from({ length: first.numPartitions }, (_, partition) => rdds.map((_, parent) => ({ parent, partition })))
    : rdds.flatMap((rdd, parent) =>
        Array.from({ length: rdd.numPartitions }, (_, partition) => [{ parent, partition }]),
      )
  return united(rdds, groups, pairwise ? first.partitioner : null)
}

/** Partitions of `parents` put together as `groups` says. */
export function united<T>(
  parents: readonly RDD<T>[],
  groups: readonly PartitionRef[][],
  partitioner: Partitioner | null,
): RDD<T> {
  const lineages = parents.map((rdd) => rdd.lineage)
  return parents[0]!.derive({ type: 'united', partitions: groups.length, partitioner, parents: lineages, groups })
}

/** The same partition of each of `parents`, side by side, through `f(iterators, partition)`. */
export function zipped<U>(parents: readonly RDD<unknown>[], f: TaskFunction, partitioner: Partitioner | null): RDD<U> {
  const { numPartitions } = parents[0]!
  if (parents.some((rdd) => rdd.numPartitions !== numPartitions)) {
    const counts = parents.map((rdd) => rdd.numPartitions).join(' and ')
    throw new MillraceError(
      'ILLEGAL_ARGUMENT',
      `Cannot put RDDs with ${counts} partitions side by side: the numbers must be equal.`,
    )
  }
  return parents[0]!.derive({
    type: 'mapped',
    partitions: numPartitions,
    partitioner,
    parents: parents.map((rdd) => rdd.lineage),
    operation: { type: 'zip', f },
  })
}

/**
 * The partitioner a pair operation uses: the one given; else the largest one among the inputs; else hashing, into as many
 * partitions as `spark.default.parallelism` says or, where it says nothing, the largest input has. Spark's rule.
 */
export function choosePartitioner(
  inputs: readonly RDD<unknown>[],
  partitioning: Partitioning | undefined,
): Partitioner {
  if (partitioning !== undefined) return toPartitioner(partitioning)
  const largestInput = Math.max(...inputs.map((rdd) => rdd.numPartitions))
  const known = inputs.map((rdd) => rdd.partitioner).filter((partitioner) => partitioner !== null)
  const largest = known.sort((a, b) => b.partitions - a.partitions)[0]
  const partitions = inputs[0]!.context.shufflePartitions ?? Math.max(largestInput, 1)
  if (largest !== undefined && (largest.partitions * 10 > largestInput || largest.partitions >= partitions))
    return largest
  return new HashPartitioner(partitions)
}

/**
 * As `choosePartitioner` for an operation of streams: hashing is into the default parallelism, however many partitions a
 * batch happens to have.
 */
export function streamPartitioning(
  inputs: readonly RDD<unknown>[],
  partitioning: Partitioning | undefined,
): Partitioning | undefined {
  if (partitioning !== undefined || inputs.some((rdd) => rdd.partitioner !== null)) return partitioning
  return inputs[0]!.context.runner.defaultParallelism
}

/** What was given as a partitioner, the user's function in it named. Throws `ILLEGAL_ARGUMENT` for a number that is none of partitions. */
export function toPartitioner(partitioning: Partitioning): Partitioner {
  if (typeof partitioning === 'number') return new HashPartitioner(partitioning)
  return 'type' in partitioning ? partitioning : customPlacement(partitioning)
}

/** Pairs combined by key, through a shuffle unless they already lie by that partitioner. */
export function combined<K, C>(
  rdd: RDD<Pair<K, unknown>>,
  combiner: Combiner,
  partitioning?: Partitioning,
): RDD<Pair<K, C>> {
  const partitioner = choosePartitioner([rdd], partitioning)
  if (!samePartitioner(rdd.partitioner, partitioner)) return shuffled(rdd, partitioner, combiner)
  return rdd.mapped({ type: 'iterate', f: combinePartition(combiner.create, combiner.mergeValue) }, true)
}

/** Pairs moved to the partitions of their keys. */
export function shuffled<K, C>(
  rdd: RDD<Pair<K, unknown>>,
  partitioner: Partitioner,
  combiner: Combiner | null,
): RDD<Pair<K, C>> {
  const { partitions } = partitioner
  return rdd.derive({ type: 'partitioned', partitions, partitioner, parent: rdd.lineage, combiner })
}

/** For each key of any of the RDDs, the values of each, as a tuple `G` of arrays. */
export function cogrouped<K, G>(rdds: readonly RDD<Pair<K, unknown>>[], partitioning?: Partitioning): RDD<Pair<K, G>> {
  const partitioner = choosePartitioner(rdds, partitioning)
  const placed = rdds.map((rdd) => rdd.partitionBy(partitioner))
  return zipped(placed, cogroupPartitions(), partitioner)
}

const combinePartition: (create: TaskFunction, mergeValue: TaskFunction) => TaskFunction = libraryFunction(
  'combinePartition',
  (create: (value: unknown) => unknown, mergeValue: (combined: unknown, value: unknown) => unknown) =>
    async (records: Iterable<Pair<unknown, unknown>>) => {
      const combined = new KeyedMap<{ value: unknown }>()
      await forEachPaced(records, new Pacer(), ([key, value]) => {
        const entry = combined.get(key)
        if (entry === undefined) combined.set(key, { value: create(value) })
        else entry.value = mergeValue(entry.value, value)
      })
      return Array.from(combined, ([key, { value }]) => [key, value])
    },
)

const cogroupPartitions = libraryFunction('cogroup', () => async (sides: Iterable<Pair<unknown, unknown>>[]) => {
  const groups = new KeyedMap<unknown[][]>()
  const pacer = new Pacer()
  for (const [n, side] of sides.entries()) {
    await forEachPaced(side, pacer, ([key, value]) => {
      let group = groups.get(key)
      if (group === undefined) {
        group = sides.map(() => [])
        groups.set(key, group)
      }
      group[n]!.push(value)
    })
  }
  return groups
})
