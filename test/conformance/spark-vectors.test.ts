/** Spark's own expectations: every executable vector that needs no restart, on every embedded master. */
import { describe, test } from 'vitest'
import { masters } from '../support/masters.js'
import { checkVector } from '../support/run-vector.js'
import { vectors } from '../support/vectors.js'

const executable = vectors.filter(({ kind }) => kind === 'dstream')

describe.each(masters)('Spark conformance on %s', (master) => {
  test.each(executable.map((vector) => [vector.id, vector] as const))('%s', (_, vector) => checkVector(vector, master))
})
