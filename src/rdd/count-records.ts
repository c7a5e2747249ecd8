/** Counting partitions without bringing their records here. */
import type { Lineage } from './lineage.js'
import { libraryFunction } from './task-function.js'

/** A node whose partitions hold one number each: how many records the partition has. @internal */
export function countRecords(lineage: Lineage): Lineage {
  return {
    type: 'mapped',
    id: -1,
    partitions: lineage.partitions,
    partitioner: null,
    storageLevel: null,
    parents: [lineage],
    operation: { type: 'fold', zero: zero(), add: increment(), finish: null },
  }
}

const zero = libraryFunction('countZero', () => () => 0)
const increment = libraryFunction(
  'increment',
  () => (count: number) => count + 1,
  () => (count) => `${count} + 1`,
)
