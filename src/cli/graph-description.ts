/** The graph of a context as plain data, for showing and comparing. */
import type { StreamingContext } from '../streaming-context.js'

export interface GraphDescription {
  readonly name: string
  readonly batchIntervalMs: number
  readonly operators: readonly OperatorDescription[]
  readonly outputs: readonly { readonly operation: string; readonly of: string }[]
}

export interface OperatorDescription {
  readonly id: string
  readonly operation: string
  readonly parents: readonly string[]
  readonly slideMs: number
  /** The class of the receiver, for an operator that has one. */
  readonly receiver: string | null
}

export function graphDescription(ssc: StreamingContext): GraphDescription {
  const { graph } = ssc
  const receivers = new Map(
    graph.inputs.map((input) => [input.id, ssc.receivers.get(input.streamId)?.constructor.name ?? null]),
  )
  return {
    name: ssc.sparkContext.appName,
    batchIntervalMs: ssc.batchInterval,
    operators: graph.nodes.map((node) => ({
      id: node.id,
      operation: node.operation,
      parents: node.dependencies.map((parent) => parent.id),
      slideMs: node.slideMs,
      receiver: receivers.get(node.id) ?? null,
    })),
    outputs: graph.outputs.map(({ name, node }) => ({ operation: name, of: node.id })),
  }
}
