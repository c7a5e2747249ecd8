/** Records made one: the fold behind `reduce`, which starts from nothing instead of a zero. */
import type { NarrowOperation } from './lineage.js'
import { type LibraryFunction, libraryFunction, type TaskFunction } from './task-function.js'

/** The state of a reduction before its first record. Known to generated loops under this name; it never leaves a task. */
export const noRecord: unique symbol = Symbol('no record')

/** Gives `[result]`, or `[]` for a partition without records. */
export function reduction(f: TaskFunction): NarrowOperation {
  return { type: 'fold', zero: none(), add: reduceStep(f), finish: reductionValue() }
}

const none = libraryFunction('noRecord', () => () => noRecord)
const reduceStep: (f: TaskFunction) => LibraryFunction = libraryFunction(
  'reduceStep',
  (f: (a: unknown, b: unknown) => unknown) => (state: unknown, record: unknown) =>
    state === noRecord ? record : f(state, record),
  (f) => (state, record) => `${state} === noRecord ? ${record} : ${f(state, record)}`,
)
const reductionValue = libraryFunction('reductionValue', () => (state: unknown) => (state === noRecord ? [] : [state]))
