/** Conformance vectors: their shape, and the rules by which outputs are compared. */
import { readFileSync } from 'node:fs'
import type { Step } from './pipeline.js'

type Batches = readonly (readonly unknown[] | null)[]

export interface Vector {
  readonly id: string
  readonly kind: string
  readonly op: string
  readonly params: {
    readonly batchMs: number
    readonly partitions?: number
    readonly pipeline?: Step[]
    readonly runBatches?: number
    readonly checkpointIntervalMs?: number
    readonly restartAfterBatches?: number
    readonly dropEmptyOutputs?: boolean
  }
  readonly input: (unknown[] | null)[]
  readonly input2?: (unknown[] | null)[]
  readonly input3?: (unknown[] | null)[]
  readonly expected: unknown[][]
  readonly ordered: boolean
  readonly compare?: string
  readonly throws?: { readonly type: string; readonly atBatch: number }
  readonly expectedSnapshots?: unknown[][]
  readonly expectedFinalSnapshot?: unknown[]
  readonly expectedSnapshotSeen?: unknown[]
}

export const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../conformance/spark-vectors.json', import.meta.url), 'utf8'),
)

/** The vector of that id. Throws for an id that is not there: a test that names one must mean one. */
export function vectorOf(id: string): Vector {
  const found = vectors.find((vector) => vector.id === id)
  if (found === undefined) throw new Error(`No vector ${id}`)
  return found
}

/** What the vector of that id expects, step by step. */
export function expectedOf(id: string): readonly unknown[][] {
  return vectorOf(id).expected
}

/** Outputs in the form in which the vector compares them: equal outputs give equal forms. */
export function comparable(outputs: Batches, vector: Pick<Vector, 'ordered' | 'compare' | 'params'>): unknown {
  const batches = outputs.map((batch) => batch ?? [])
  const kept = vector.params.dropEmptyOutputs === true ? batches.filter((batch) => batch.length > 0) : batches
  switch (vector.compare) {
    case 'flattenedOverRun':
      return multiset(kept.flat())
    case 'setOverRun':
    case 'setOfAllValues':
      return [...new Set(multiset(kept.flat()))]
    case 'multisetValues':
      return kept.map((batch) => multiset(batch.map(withSortedValues)))
    case 'sumOverRun':
      return kept.flat().reduce((sum: number, n) => sum + (n as number), 0)
    default:
      return vector.ordered ? kept : kept.map(multiset)
  }
}

/** True if every output is an expected one and the last expected one was reached: the rule `subsetWithLast`. */
export function isSubsetWithLast(outputs: Batches, expected: Batches): boolean {
  const texts = (batches: Batches): string[] => batches.map((batch) => multiset(batch ?? []).join())
  const allowed = texts(expected)
  const seen = texts(outputs)
  return seen.every((output) => allowed.includes(output)) && seen.includes(allowed.at(-1)!)
}

export function multiset(records: readonly unknown[]): string[] {
  return records.map((record) => JSON.stringify(record)).sort()
}

/** A pair whose value lists, however deep, are in one order. */
function withSortedValues(record: unknown): unknown {
  if (!Array.isArray(record)) return record
  const [key, value] = record as [unknown, unknown]
  const sorted = (values: unknown): unknown =>
    Array.isArray(values)
      ? values.every(Array.isArray)
        ? values.map(sorted)
        : [...values].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      : values
  return [key, sorted(value)]
}
