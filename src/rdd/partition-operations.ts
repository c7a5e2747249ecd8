/** Operations that change how many partitions an RDD has, or see partitions as wholes. */
import { shuffled, united } from './combination.js'
import type { PartitionRef } from './lineage.js'
import { LineageHandle } from './lineage-handle.js'
import type { Item, Pair } from './pair.js'
import { assertPartitions, HashPartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { libraryFunction, userFunction } from './task-function.js'

export abstract class PartitionOperations extends LineageHandle {
  /** `f` of an iterator over each partition, empty ones too. `preservesPartitioning`: `f` leaves keys where they are. */
  mapPartitions<T, U extends Item>(
    this: RDD<T>,
    f: (records: IterableIterator<T>) => Iterable<U> | Promise<Iterable<U>>,
    preservesPartitioning = false,
  ): RDD<U> {
    return this.mapped({ type: 'iterate', f: withoutIndex(userFunction(f)) }, preservesPartitioning)
  }

  /** As `mapPartitions`, with the number of the partition first. */
  mapPartitionsWithIndex<T, U extends Item>(
    this: RDD<T>,
    f: (partition: number, records: IterableIterator<T>) => Iterable<U> | Promise<Iterable<U>>,
    preservesPartitioning = false,
  ): RDD<U> {
    return this.mapped({ type: 'iterate', f: indexFirst(userFunction(f)) }, preservesPartitioning)
  }

  /** Each partition as one array; an empty partition gives an empty array. */
  glom<T>(this: RDD<T>): RDD<T[]> {
    return this.mapped({ type: 'iterate', f: glomPartition() })
  }

  /** The records dealt out evenly to `partitions` partitions, through a shuffle. The same records go the same way every time. */
  repartition<T>(this: RDD<T>, partitions: number): RDD<T> {
    assertPartitions(partitions)
    const dealt = this.mapped<Pair<number, T>>({ type: 'iterate', f: dealOut(partitions) })
    return shuffled<number, T>(dealt, new HashPartitioner(partitions), null).mapped({ type: 'map', f: second() })
  }

  /**
   * As many partitions as asked for, or fewer: neighbours are put together without moving a record, so there can be no more
   * than there were. With `shuffle`, as `repartition`.
   */
  coalesce<T>(this: RDD<T>, partitions: number, shuffle = false): RDD<T> {
    assertPartitions(partitions)
    if (shuffle) return this.repartition(partitions)
    const total = this.numPartitions
    const count = Math.min(partitions, total)
    if (count === total) return this
    const edge = (i: number): number => Math.floor((i * total) / count)
    const groups = Array.from({ length: count }, (_, i): PartitionRef[] =>
      Array.from({ length: edge(i + 1) - edge(i) }, (__, j) => ({ parent: 0, partition: edge(i) + j })),
    )
    return united([this], groups, null)
  }
}

const withoutIndex = libraryFunction('withoutIndex', (f: (r: unknown) => unknown) => (records: unknown) => f(records))
const indexFirst = libraryFunction(
  'indexFirst',
  (f: (p: number, r: unknown) => unknown) => (records: unknown, partition: number) => f(partition, records),
)
const glomPartition = libraryFunction('glom', () => (records: Iterable<unknown>) => [[...records]])

// Each partition begins somewhere else, or the first target would get a record from every small partition.
const dealOut = libraryFunction('dealOut', (partitions: number) => {
  return function* (records: Iterable<unknown>, partition: number) {
    let target = (Math.imul(partition + 1, 0x9e3779b1) >>> 0) % partitions
    for (const record of records) {
      yield [target, record]
      target = (target + 1) % partitions
    }
  }
})
const second = libraryFunction(
  'second',
  () =>
    ([, value]: Pair<unknown, unknown>) =>
      value,
)
