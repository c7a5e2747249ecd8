/** Spark's own expectations: every executable vector that needs no restart, on every embedded master. */
import { type DStream, MillraceError } from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { applyPipeline, type PipelineScope } from '../support/pipeline.js'
import { comparable, isSubsetWithLast, multiset, type Vector, vectors } from '../support/vectors.js'

const executable = vectors.filter(({ kind }) => kind === 'dstream')

describe.each(['local', 'local[1]', 'local[2]', 'local[4]'])('Spark conformance on %s', (master) => {
  test.each(executable.map((vector) => [vector.id, vector] as const))('%s', async (_, vector) => {
    if (vector.throws !== undefined) {
      await expect(outputsOf(vector, master)).rejects.toSatisfy((error) => MillraceError.is(error))
      return
    }
    const { outputs, snapshots } = await outputsOf(vector, master)
    if (vector.compare === 'subsetWithLast') {
      expect(isSubsetWithLast(outputs, vector.expected)).toBe(true)
    } else {
      const seen = vector.compare === undefined ? outputs.slice(0, vector.expected.length) : outputs
      expect(comparable(seen, vector)).toEqual(comparable(vector.expected, vector))
    }
    if (vector.expectedSnapshots !== undefined)
      expect(snapshots.map(multiset)).toEqual(vector.expectedSnapshots.map(multiset))
    if (vector.expectedFinalSnapshot !== undefined)
      expect(multiset(snapshots.at(-1)!)).toEqual(multiset(vector.expectedFinalSnapshot))
    if (vector.expectedSnapshotSeen !== undefined)
      expect(snapshots.map(multiset)).toContainEqual(multiset(vector.expectedSnapshotSeen))
  })
})

/** The outputs of the vector's pipeline, and the snapshots of its state if it keeps any. */
async function outputsOf(
  { params, input, input2, input3, expected, throws }: Vector,
  master: string,
): Promise<{
  outputs: (unknown[] | null)[]
  snapshots: unknown[][]
}> {
  const snapshots: unknown[][] = []
  const batches = params.runBatches ?? (expected.length * slideOf(params)) / params.batchMs
  const outputs = await runBatches({
    inputs: [input, input2, input3].filter((batches) => batches !== undefined),
    build: (streams, ssc) => {
      const scope: PipelineScope = { ssc, inputs: streams, checkpointIntervalMs: params.checkpointIntervalMs }
      const output = applyPipeline(streams[0]!, params.pipeline ?? [], scope)
      collectSnapshots(scope.snapshots, snapshots)
      return output
    },
    master,
    batchInterval: params.batchMs,
    partitions: params.partitions ?? 2,
    batches: throws === undefined ? batches : throws.atBatch + 1,
  })
  return { outputs, snapshots }
}

function collectSnapshots(stream: DStream<unknown> | undefined, into: unknown[][]): void {
  stream?.foreachRDD(async (rdd) => {
    into.push(await rdd.collect())
  })
}

/** The slide of the last step that has one: an output comes every slide. */
function slideOf({ pipeline = [], batchMs }: Vector['params']): number {
  return pipeline.reduce((slide, step) => step.slideMs ?? slide, batchMs)
}
