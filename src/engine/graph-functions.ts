/**
 * The functions and the shape of a graph, for tasks in another thread or process. Such a place has built the same graph from the
 * same module; here it finds a user function by the name the driver's graph gave it, and tells where the two graphs differ.
 */
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import type { StreamNode } from '../dstream/stream-node.js'
import { MillraceError } from '../errors.js'
import { type AnyFunction, FunctionScope } from '../rdd/task-function.js'
import type { Time } from '../time.js'

/** Batches whose functions are kept: those of a `transform`, which makes new ones each batch. */
const KEPT_BATCHES_MAX = 8

export class GraphFunctions {
  readonly #graph: DStreamGraph
  readonly #nodes: ReadonlyMap<string, StreamNode>
  /** Functions by operator: of every batch (null), or of those of late. */
  readonly #known = new Map<Time | null, Map<string, readonly AnyFunction[]>>([[null, new Map()]])

  /** `described` are the functions `describeGraph` gave for this graph. */
  constructor(graph: DStreamGraph, described: readonly AnyFunction[] = []) {
    this.#graph = graph
    this.#known.get(null)!.set(jobOperator, described)
    this.#nodes = new Map(graph.nodes.map((node) => [node.id, node]))
  }

  /** The function of that name, of the batch of `time` when its operator makes new ones each batch. Throws `FUNCTION_NOT_FOUND`. */
  readonly find = (id: string, time: Time | null): AnyFunction => {
    const slash = id.lastIndexOf('/')
    const found = this.#functions(id.slice(0, slash), time)[Number(id.slice(slash + 1))]
    if (found !== undefined) return found
    throw new MillraceError(
      'FUNCTION_NOT_FOUND',
      `Function ${id} is not in this worker's graph; the driver's graph has another shape. Describe the same graph every time the job module is loaded.`,
      { details: { function: id, time } },
    )
  }

  #functions(operator: string, time: Time | null): readonly AnyFunction[] {
    let known = this.#known.get(time)
    if (known === undefined) {
      known = new Map()
      this.#known.set(time, known)
      if (this.#known.size > KEPT_BATCHES_MAX) this.#forgetOldest()
    }
    let functions = known.get(operator)
    if (functions === undefined) {
      functions = this.#record(operator, time)
      known.set(operator, functions)
    }
    return functions
  }

  #forgetOldest(): void {
    for (const time of this.#known.keys()) {
      if (time === null) continue
      this.#known.delete(time)
      return
    }
  }

  /** Runs the operator's callback over RDDs that only record: nothing of them is ever computed. */
  #record(operator: string, time: Time | null): readonly AnyFunction[] {
    const node = this.#nodes.get(operator)
    if (node === undefined) return []
    const parents = node.dependencies.map(() => this.#graph.placeholder())
    return node.functions(parents, time ?? 0)
  }
}

/** The operator of functions given to RDDs while the graph is described, outside any operator's callback. */
export const jobOperator = 'job'

/** What describing a graph gave. */
export interface Described<R> {
  /** The functions given to RDDs meanwhile, under names by which `GraphFunctions` finds them. */
  readonly functions: readonly AnyFunction[]
  readonly result: R
}

/** Describes a graph. Of an async `build` the functions up to its first `await` have names; later ones exist in this process only. */
export function describeGraph<R>(build: () => R): Described<R> {
  const scope = new FunctionScope(jobOperator, null)
  const result = scope.run(build)
  return { functions: scope.functions, result }
}

/**
 * The shape of a graph: one line a node, with its id, those of its parents, its times and, with `texts`, a checksum of its
 * functions' texts. Two places that run one job have equal shapes; equal texts too, if they load one file.
 */
export function graphShape(graph: DStreamGraph, texts: 'texts' | 'no texts' = 'texts'): string[] {
  return graph.nodes.map((node) => {
    const { id, dependencies, slideMs, windowMs } = node
    const window = windowMs === null ? '' : ` over ${windowMs} ms`
    return `${id}(${dependencies.map((parent) => parent.id).join(',')}) every ${slideMs} ms${window}${texts === 'texts' ? functionsOf(node) : ''}`
  })
}

const functionTexts = new WeakMap<StreamNode, string>()

/** The functions of a node as far as they are the same in every batch, by a checksum of their texts. */
function functionsOf(node: StreamNode): string {
  let text = functionTexts.get(node)
  if (text === undefined) {
    const parents = node.dependencies.map(() => node.graph.placeholder())
    const functions = node.functionsVary ? [] : node.functions(parents, 0)
    const sums = functions.map((f) => (sourceChecksum(f) >>> 0).toString(16))
    text = sums.length === 0 ? '' : ` with functions ${sums.join(' ')}`
    functionTexts.set(node, text)
  }
  return text
}

const checksums = new WeakMap<AnyFunction, number>()

/** A number that functions of the same source text share. */
export function sourceChecksum(call: AnyFunction): number {
  let checksum = checksums.get(call)
  if (checksum === undefined) {
    checksum = 0
    const source = Function.prototype.toString.call(call)
    for (let i = 0; i < source.length; i++) checksum = (Math.imul(checksum, 31) + source.charCodeAt(i)) | 0
    checksums.set(call, checksum)
  }
  return checksum
}

/** The line of the user's each operator stands in, such as `word-count.ts:12`, by the operator's id. */
export function operatorPlaces(graph: DStreamGraph): ReadonlyMap<string, string> {
  const places = new Map<string, string>()
  for (const { id, callSite } of graph.nodes) if (callSite.place !== null) places.set(id, callSite.place)
  return places
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
