/**
 * The records of a partition in arrays of moderate length: one array that grows to millions would be copied again and again, each
 * time into memory that the process has to get anew.
 */
import { keepShapes } from '../kept-shapes.js'

/** Records, array after array. */
export type RecordArrays<T = unknown> = readonly T[][]

/** Records after which the next array begins. */
const arrayLength = 1 << 14

/** Takes the records of a task. */
export class RecordCollector {
  readonly arrays: unknown[][] = []

  /** Where the next records go. Generated loops ask once for each slice, and push as many as it has. */
  open(): unknown[] {
    const last = this.arrays.at(-1)
    if (last !== undefined && last.length < arrayLength) return last
    const next: unknown[] = []
    this.arrays.push(next)
    return next
  }
}

keepShapes(new RecordCollector())

/** All of them in one array, which is theirs when there is only one. */
export function joined<T>(arrays: RecordArrays<T>): T[] {
  return arrays.length === 1 ? arrays[0]! : ([] as T[]).concat(...arrays)
}

/** How many there are. */
export function recordsIn(arrays: RecordArrays): number {
  return arrays.reduce((sum, { length }) => sum + length, 0)
}
