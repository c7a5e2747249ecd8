/** Spark's own expectations: every executable vector that needs no restart, on every embedded master. */
import { describe, test } from 'vitest'
import { checkVector } from '../support/run-vector.js'
import { vectors } from '../support/vectors.js'

const executable = vectors.filter(({ kind }) => kind === 'dstream')

describe.each(['local', 'local[1]', 'local[2]', 'local[4]'])('Spark conformance on %s', (master) => {
  test.each(executable.map((vector) => [vector.id, vector] as const))('%s', (_, vector) => checkVector(vector, master))
})
