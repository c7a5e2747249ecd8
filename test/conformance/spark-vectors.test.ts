/** Spark's own expectations: every executable vector whose operations exist, on master `local`. */
import { readFileSync } from 'node:fs'
import { MillraceError } from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { applyPipeline, knownOperations, type Step } from '../support/pipeline.js'

interface Vector {
  readonly id: string
  readonly kind: string
  readonly params: {
    readonly batchMs: number
    readonly partitions?: number
    readonly pipeline?: Step[]
    readonly runBatches?: number
  }
  readonly input: (unknown[] | null)[]
  readonly input2?: (unknown[] | null)[]
  readonly input3?: (unknown[] | null)[]
  readonly expected: unknown[][]
  readonly ordered: boolean
  readonly throws?: { readonly atBatch: number }
}

const vectors = JSON.parse(readFileSync(new URL('spark-vectors.json', import.meta.url), 'utf8')) as Vector[]
const executable = vectors.filter(
  ({ kind, params }) => kind === 'dstream' && (params.pipeline ?? []).every((step) => knownOperations.has(step.op)),
)

/** Batches in the order Spark does not promise are compared as multisets. */
function comparable(batches: readonly (unknown[] | null)[], ordered: boolean): unknown {
  return ordered ? batches : batches.map((batch) => batch?.map((record) => JSON.stringify(record)).sort())
}

describe('Spark conformance', () => {
  test.each(executable.map((vector) => [vector.id, vector] as const))('%s', async (_, vector) => {
    const { params, expected, ordered } = vector
    const inputs = [vector.input, vector.input2, vector.input3].filter((input) => input !== undefined)
    const outputs = runBatches({
      inputs,
      build: (streams) => applyPipeline(streams[0]!, params.pipeline ?? [], streams),
      batchInterval: params.batchMs,
      partitions: params.partitions ?? 2,
      ...(params.runBatches === undefined ? {} : { batches: params.runBatches }),
    })
    if (vector.throws !== undefined) {
      await expect(outputs).rejects.toSatisfy((error) => MillraceError.is(error))
      return
    }
    expect(comparable(await outputs, ordered)).toEqual(comparable(expected, ordered))
  })
})
