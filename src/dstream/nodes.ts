/** The kinds of stream nodes without state: transformed streams and windows. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import { unite } from '../rdd/combination.js'
import type { RDD } from '../rdd/rdd.js'
import { StorageLevel } from '../rdd/storage-level.js'
import { type AnyFunction, FunctionScope } from '../rdd/task-function.js'
import { isMultipleOf, type Time } from '../time.js'
import type { DStreamGraph } from './dstream-graph.js'
import { StreamNode } from './stream-node.js'

/** Builds the RDD of one time from the parents' RDDs of that time. Must give functions to RDDs in the same order every time. */
export type Build = (rdds: readonly RDD<unknown>[], time: Time) => RDD<unknown>

export interface TransformedOptions {
  readonly operation: string
  readonly parents: readonly StreamNode[]
  readonly build: Build
  /** What happens when a parent has no RDD: none here either, or an error, as Spark's `transform` and `union` do. */
  readonly whenNone: 'none' | 'fail'
  /** True when the functions may differ from batch to batch, because the user's callback makes them. */
  readonly perBatch?: boolean
}

/** A stream made of its parents' RDDs of the same time. Nearly every operation is one of these. */
export class TransformedNode extends StreamNode {
  readonly dependencies: readonly StreamNode[]
  readonly #options: TransformedOptions

  constructor(graph: DStreamGraph, options: TransformedOptions) {
    const [first] = options.parents
    if (first === undefined)
      throw new MillraceError('ILLEGAL_ARGUMENT', `${options.operation} needs at least one stream.`)
    for (const parent of options.parents) {
      if (parent.graph !== graph)
        throw new MillraceError('ILLEGAL_ARGUMENT', `${options.operation} of streams of different contexts.`)
      if (parent.slideMs !== first.slideMs) {
        throw new MillraceError(
          'ILLEGAL_ARGUMENT',
          `${options.operation} of streams with different slides: ${first.slideMs} ms and ${parent.slideMs} ms.`,
        )
      }
    }
    super(graph, options.operation)
    this.dependencies = options.parents
    this.#options = options
    // Tried on RDDs that are never computed: a wrong argument shows at the call that was given it, not in the first batch.
    if (!this.functionsVary)
      this.functions(
        options.parents.map(() => graph.placeholder()),
        0,
      )
  }

  get slideMs(): number {
    return this.dependencies[0]!.slideMs
  }

  protected compute(time: Time): RDD<unknown> | null {
    const rdds: RDD<unknown>[] = []
    for (const parent of this.dependencies) {
      const rdd = parent.rddAt(time)
      if (rdd !== null) rdds.push(rdd)
      else if (this.#options.whenNone === 'none') return null
      else {
        throw new MillraceError(
          'ILLEGAL_STATE',
          `${this.id} needs an RDD of ${parent.id} at ${time} ms, and there is none.`,
          {
            details: { operator: this.id, parent: parent.id, time },
          },
        )
      }
    }
    return this.build(rdds, time)
  }

  /** The RDD of `time` over these parents. */
  build(rdds: readonly RDD<unknown>[], time: Time): RDD<unknown> {
    return this.#build(this.#scope(time), rdds, time)
  }

  override functions(rdds: readonly RDD<unknown>[], time: Time): readonly AnyFunction[] {
    const scope = this.#scope(time)
    this.#build(scope, rdds, time)
    return scope.functions
  }

  override get functionsVary(): boolean {
    return this.#options.perBatch === true
  }

  #scope(time: Time): FunctionScope {
    return new FunctionScope(this.id, this.functionsVary ? time : null)
  }

  #build(scope: FunctionScope, rdds: readonly RDD<unknown>[], time: Time): RDD<unknown> {
    const rdd: unknown = scope.run(() => this.#options.build(rdds, time))
    if ((rdd as RDD<unknown> | null | undefined)?.lineage === undefined) {
      throw new MillraceError(
        'ILLEGAL_STATE',
        `The function given to ${this.id} returned ${kindOf(rdd)}; it must return an RDD.`,
      )
    }
    return rdd as RDD<unknown>
  }
}

/** The last `windowMs` of the parent, every `slideMs`, as a union of its RDDs. */
export class WindowedNode extends StreamNode {
  readonly dependencies: readonly StreamNode[]
  readonly slideMs: number
  readonly #windowMs: number

  constructor(graph: DStreamGraph, parent: StreamNode, windowMs: number, slideMs: number) {
    assertWindow(parent, windowMs, slideMs)
    super(graph, 'window')
    this.dependencies = [parent]
    this.#windowMs = windowMs
    this.slideMs = slideMs
    if (parent.storageLevel === null) parent.persist(StorageLevel.MEMORY_ONLY_SER)
  }

  override get windowMs(): number {
    return this.#windowMs
  }

  override get parentRememberMs(): number {
    return this.rememberMs + this.#windowMs
  }

  /** Keeping a union would keep every record twice; the parent keeps its parts. */
  override persist(level: StorageLevel): void {
    this.dependencies[0]!.persist(level)
  }

  protected compute(time: Time): RDD<unknown> {
    const parent = this.dependencies[0]!
    return uniteOrEmpty(this.graph, rddsBetween(parent, time - this.#windowMs + parent.slideMs, time))
  }
}

/** Throws `ILLEGAL_ARGUMENT` unless window and slide are multiples of the parent's slide. */
export function assertWindow(parent: StreamNode, windowMs: number, slideMs: number): void {
  for (const [name, ms] of [
    ['window', windowMs],
    ['slide', slideMs],
  ] as const) {
    if (ms <= 0 || !isMultipleOf(ms, parent.slideMs)) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `The ${name} of ${ms} ms must be a multiple of the slide of its parent stream ${parent.id}, ${parent.slideMs} ms.`,
      )
    }
  }
}

/** The RDDs a stream has from `from` to `to`, both included, in order of time. */
export function rddsBetween(node: StreamNode, from: Time, to: Time): RDD<unknown>[] {
  const rdds: RDD<unknown>[] = []
  const { zeroTime } = node.graph
  const first = Math.max(from, zeroTime + node.slideMs)
  for (let time = first; time <= to; time += node.slideMs) {
    const rdd = node.rddAt(time)
    if (rdd !== null) rdds.push(rdd)
  }
  return rdds
}

function uniteOrEmpty(graph: DStreamGraph, rdds: readonly RDD<unknown>[]): RDD<unknown> {
  return rdds.length === 0 ? graph.context.emptyRDD() : unite(rdds)
}
