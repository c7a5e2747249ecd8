/**
 * Every operation of RDD and every way to make one, each as a small program: what it gives must be the same wherever it runs.
 * The name of a program begins with the operation, as docs/operations.md has it.
 */
import { actionOperations } from './rdd-operations/actions.js'
import type { Programs } from './rdd-operations/ground.js'
import { keepingOperations } from './rdd-operations/keeping.js'
import { pairOperations } from './rdd-operations/pairs.js'
import { recordOperations } from './rdd-operations/records.js'

export const rddOperations: Programs = {
  ...recordOperations,
  ...pairOperations,
  ...actionOperations,
  ...keepingOperations,
}
