/** RDDs of one partition that hold one result for a whole RDD: what `count` and `reduce` of a stream are made of. */
import { unite } from './combination.js'
import { countRecords } from './count-records.js'
import type { Pair } from './pair.js'
import { HashPartitioner } from './partitioner.js'
import type { RDD } from './rdd.js'
import { libraryFunction, type TaskFunction, userFunction } from './task-function.js'

/** One record: how many records `rdd` has, 0 for none. */
export function countInOne(rdd: RDD<unknown>): RDD<number> {
  const counts = rdd.derive<number>(countRecords(rdd.lineage))
  const zero = rdd.derive<number>({ type: 'parallelized', partitions: 1, partitioner: null, slices: [[0]] })
  return combinedInOne(unite<number>([counts, zero]), add())
}

/** One record, all of `rdd` made one by `f`, or none when it is empty. */
export function reduceInOne<T>(rdd: RDD<T>, f: (a: T, b: T) => T): RDD<T> {
  const reduce = userFunction(f)
  return combinedInOne(rdd.reducePartitions(reduce), reduce)
}

function combinedInOne<T>(rdd: RDD<T>, combine: TaskFunction): RDD<T> {
  const keyed = rdd.mapped<Pair<null, T>>({ type: 'map', f: underNull() })
  const gathered = keyed.derive<Pair<null, T>>({
    type: 'partitioned',
    partitions: 1,
    partitioner: new HashPartitioner(1),
    parent: keyed.lineage,
    combiner: { create: same(), mergeValue: combine, mergeCombiners: combine, mapSide: true },
  })
  return gathered.mapped({ type: 'map', f: valueOfPair() })
}

const add = libraryFunction('add', () => (a: number, b: number) => a + b)
const same = libraryFunction('same', () => (value: unknown) => value)
const underNull = libraryFunction('underNull', () => (value: unknown) => [null, value])
const valueOfPair = libraryFunction(
  'valueOfPair',
  () =>
    ([, value]: Pair<unknown, unknown>) =>
      value,
)
