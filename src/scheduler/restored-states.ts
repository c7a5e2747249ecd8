/** Saved state, on its way back to the operators of a graph. */
import { join } from 'node:path'
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import type { StreamNode } from '../dstream/stream-node.js'
import { MillraceError } from '../errors.js'
import { HashPartitioner } from '../rdd/partitioner.js'
import type { RDD } from '../rdd/rdd.js'
import type { JournalState } from '../storage/journal-state.js'
import type { Time } from '../time.js'

/** Where a layer of an operator's state lies, in the directory of all saved state. */
export function layerDirectory(directory: string, operator: string, layer: string): string {
  return join(directory, operatorDirectory(operator), layer)
}

/** A name of one's own for any operator id, whatever it is made of. */
export function operatorDirectory(operator: string): string {
  return encodeURIComponent(operator).replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length))
}

/** The operators of a graph whose state is saved, by id. */
export function statefulNodes(graph: DStreamGraph): Map<string, StreamNode> {
  return new Map(graph.nodes.flatMap((node) => (node.mustCheckpoint ? [[node.id, node]] : [])))
}

/** The partitions that were saved in `directory`, as an RDD. */
export function savedRdd(
  graph: DStreamGraph,
  directory: string,
  { partitions, isHashed }: { readonly partitions: number; readonly isHashed: boolean },
): RDD<unknown> {
  return graph.context.rdd<unknown>({
    type: 'checkpointed',
    id: graph.context.nextRddId(),
    partitions,
    partitioner: isHashed ? new HashPartitioner(partitions) : null,
    storageLevel: null,
    directory,
    rddId: 0,
  })
}

/**
 * Gives every operator of the graph that has state what was saved of it last, up to `asOf`; returns of which time that is.
 * Throws `CHECKPOINT_MISMATCH` when there is state of an operator that the graph no longer has, or has as another operation.
 */
export function restoreStates(
  graph: DStreamGraph,
  state: JournalState,
  directory: string,
  asOf: Time = Number.POSITIVE_INFINITY,
): Map<StreamNode, Time> {
  const restored = new Map<StreamNode, Time>()
  const nodes = statefulNodes(graph)
  for (const operator of new Set(state.savedStates.map((saved) => saved.operator))) {
    const node = nodes.get(operator)
    if (node === undefined) throw unknownOperator(operator, [...nodes.keys()])
    const saved = state.savedState(operator, asOf)
    if (saved === null) continue
    if (saved.operation !== undefined && saved.operation !== node.operation)
      throw anotherOperation(operator, saved.operation, node.operation)
    node.restore(
      saved.time,
      saved.layers.map((layer) => savedRdd(graph, layerDirectory(directory, operator, layer), saved)),
    )
    restored.set(node, saved.time)
  }
  return restored
}

function anotherOperation(operator: string, saved: string, found: string): MillraceError {
  return new MillraceError(
    'CHECKPOINT_MISMATCH',
    `The checkpoint holds state of the operator ${operator} as ${saved} left it, and in this job ${operator} is ${found}. Make it ${saved} again, or use an empty checkpoint directory.`,
    { details: { operator, expected: saved, found } },
  )
}

/** Saved state whose operator is not among those the job has. */
export function unknownOperator(operator: string, known: readonly string[]): MillraceError {
  return new MillraceError(
    'CHECKPOINT_MISMATCH',
    `The checkpoint holds state of the operator ${operator}, and this job has no such operator with state (it has: ${known.join(', ') || 'none'}). Give the operator its old name with .named(${JSON.stringify(operator)}), or, to give up its state, use an empty checkpoint directory.`,
    { details: { operator, known } },
  )
}
