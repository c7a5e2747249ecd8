/**
 * The functions and the shape of a graph, for tasks in another thread or process. Such a place has built the same graph from the
 * same module; here it finds a user function by the name the driver's graph gave it, and tells where the two graphs differ.
 */
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import type { StreamNode } from '../dstream/stream-node.js'
import { MillraceError } from '../errors.js'
import type { RDD } from '../rdd/rdd.js'
import { type AnyFunction, FunctionScope } from '../rdd/task-function.js'
import type { Time } from '../time.js'

/** A node that makes its RDD from others by a callback, which can be run again to see which functions it gives to RDDs. */
interface Building extends StreamNode {
  build(rdds: readonly RDD<unknown>[], time: Time): RDD<unknown>
}

/** Batches whose functions are kept: those of a `transform`, which makes new ones each batch. */
const KEPT_BATCHES_MAX = 8

export class GraphFunctions {
  readonly #graph: DStreamGraph
  readonly #nodes: ReadonlyMap<string, StreamNode>
  readonly #constant = new Map<string, AnyFunction>()
  readonly #byTime = new Map<Time, Map<string, AnyFunction>>()

  constructor(graph: DStreamGraph) {
    this.#graph = graph
    this.#nodes = new Map(graph.nodes.map((node) => [node.id, node]))
  }

  /** The function of that name, of the batch of `time` when its operator makes new ones each batch. Throws `FUNCTION_NOT_FOUND`. */
  readonly find = (id: string, time: Time | null): AnyFunction => {
    const known = this.#functionsOf(time).get(id)
    if (known !== undefined) return known
    this.#build(id.slice(0, id.lastIndexOf('/')), time)
    const built = this.#functionsOf(time).get(id)
    if (built !== undefined) return built
    throw new MillraceError(
      'FUNCTION_NOT_FOUND',
      `Function ${id} is not in this worker's graph; the driver's graph has another shape. Describe the same graph every time the job module is loaded.`,
      { details: { function: id, time } },
    )
  }

  #functionsOf(time: Time | null): Map<string, AnyFunction> {
    if (time === null) return this.#constant
    let functions = this.#byTime.get(time)
    if (functions === undefined) {
      functions = new Map()
      this.#byTime.set(time, functions)
      if (this.#byTime.size > KEPT_BATCHES_MAX) this.#byTime.delete(this.#byTime.keys().next().value!)
    }
    return functions
  }

  /** Runs the operator's callback over RDDs that only record: nothing of them is ever computed. */
  #build(operator: string, time: Time | null): void {
    const node = this.#nodes.get(operator) as Building | undefined
    if (typeof node?.build !== 'function') return
    const { context } = this.#graph
    const parents = node.dependencies.map(() =>
      context.rdd({
        type: 'checkpointed',
        id: context.nextRddId(),
        partitions: 1,
        partitioner: null,
        storageLevel: null,
        directory: null,
        rddId: -1,
      }),
    )
    FunctionScope.collecting(this.#functionsOf(time), () => node.build(parents, time ?? 0))
  }
}

/** The shape of a graph: one line a node, with its id and those of its parents. Two places that run one job have equal shapes. */
export function graphShape(graph: DStreamGraph): string[] {
  return graph.nodes.map((node) => `${node.id}(${node.dependencies.map(({ id }) => id).join(',')})/${node.slideMs}`)
}

/** Throws `GRAPH_MISMATCH`, naming the first node that differs, unless both shapes are the same. */
export function assertSameShape(driver: readonly string[], worker: readonly string[]): void {
  const length = Math.max(driver.length, worker.length)
  for (let i = 0; i < length; i++) {
    if (driver[i] === worker[i]) continue
    throw new MillraceError(
      'GRAPH_MISMATCH',
      `Node ${i} of the graph is ${driver[i] ?? 'missing'} in the driver and ${worker[i] ?? 'missing'} in a worker. The job module must describe the same graph every time it is loaded: no random numbers, times or environment in the description.`,
      { details: { node: i, driver: driver[i] ?? null, worker: worker[i] ?? null } },
    )
  }
}
