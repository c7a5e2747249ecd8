/** Runs a conformance vector by `runBatches`, and holds what came out, from there or elsewhere, to what the vector expects. */
import { type DStream, MillraceError } from 'millrace'
import { runBatches } from 'millrace/testing'
import { expect } from 'vitest'
import { applyPipeline, type PipelineScope } from './pipeline.js'
import { comparable, isSubsetWithLast, multiset, type Vector } from './vectors.js'

export interface VectorOutcome {
  readonly outputs: readonly (readonly unknown[] | null)[]
  /** Of the state, if the vector keeps any. */
  readonly snapshots: readonly (readonly unknown[])[]
}

/** Runs the vector on that master and checks what it gives. */
export async function checkVector(vector: Vector, master: string, conf: Record<string, unknown> = {}): Promise<void> {
  if (vector.throws !== undefined)
    await expect(outcomeOf(vector, master, conf)).rejects.toSatisfy((error) => MillraceError.is(error))
  else expectVector(vector, await outcomeOf(vector, master, conf))
}

/** Checks what the vector's pipeline gave. */
export function expectVector(vector: Vector, { outputs, snapshots }: VectorOutcome): void {
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
}

async function outcomeOf(
  { params, input, input2, input3, expected, throws }: Vector,
  master: string,
  conf: Record<string, unknown>,
): Promise<VectorOutcome> {
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
    conf,
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
