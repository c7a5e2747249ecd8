/** An incremental window: from one window to the next, what left is taken out of each key's value and what came is added. */
import { MillraceError } from '../errors.js'
import { type Partitioning, toPartitioner, zipped } from '../rdd/combination.js'
import { KeyedMap } from '../rdd/keys.js'
import { RecordError } from '../rdd/operator-failure.js'
import { Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import type { Partitioner } from '../rdd/partitioner.js'
import type { RDD } from '../rdd/rdd.js'
import { StorageLevel } from '../rdd/storage-level.js'
import {
  type AnyFunction,
  FunctionScope,
  type LibraryFunction,
  libraryFunction,
  type TaskFunction,
} from '../rdd/task-function.js'
import type { Time } from '../time.js'
import { assertWindow, rddsBetween } from './nodes.js'
import { pairChanges } from './state-layers.js'
import { StreamNode } from './stream-node.js'

/** The functions of an incremental window, named in the scope that is open. */
export interface WindowFunctions {
  readonly reduce: TaskFunction
  readonly inverse: TaskFunction
  /** Of a pair; keys it says no to are dropped, so that the window does not hold every key it ever saw. */
  readonly filter: TaskFunction | null
}

export interface ReducedWindowOptions {
  readonly windowMs: number
  readonly slideMs: number
  readonly partitioning: Partitioning | undefined
  /** Always names the same functions in the same order. */
  readonly functions: () => WindowFunctions
}

type Pairs = RDD<Pair<unknown, unknown>>

/** Its parent gives each batch reduced by key; `reduceByKeyAndWindow` puts that stream before it. */
export class ReducedWindowNode extends StreamNode {
  readonly dependencies: readonly StreamNode[]
  readonly slideMs: number
  readonly #options: ReducedWindowOptions
  /** Up to here batches were left out: the window before is not what the next one is made from. */
  #carriedTo: Time | null = null

  constructor(reduced: StreamNode, options: ReducedWindowOptions) {
    assertWindow(reduced, options.windowMs, options.slideMs)
    super(reduced.graph, 'reduceByKeyAndWindow')
    this.dependencies = [reduced]
    this.slideMs = options.slideMs
    this.#options = options
    reduced.persist(StorageLevel.MEMORY_ONLY_SER)
    super.persist(StorageLevel.MEMORY_ONLY_SER)
  }

  override get mustCheckpoint(): boolean {
    return true
  }

  override get windowMs(): number {
    return this.#options.windowMs
  }

  override get parentRememberMs(): number {
    return this.#options.windowMs + this.#options.slideMs
  }

  /** Persists the batches as well: they are read when they come and when they leave. */
  override persist(level: StorageLevel): void {
    super.persist(level)
    this.dependencies[0]!.persist(level)
  }

  /** What left during the gap was never taken out, so the next window is made anew from the batches there are. */
  override carry(_from: Time, to: Time): void {
    this.#carriedTo = to
  }

  override encodedChanges(before: RDD<unknown>, after: RDD<unknown>): RDD<unknown> {
    return pairChanges(before, after)
  }

  override functions(): readonly AnyFunction[] {
    const scope = new FunctionScope(this.id, null)
    scope.run(() => this.#nameFunctions())
    return scope.functions
  }

  #nameFunctions(): WindowFunctions & { readonly partitioner: Partitioner } {
    const { functions, partitioning } = this.#options
    const named = functions()
    return { ...named, partitioner: toPartitioner(partitioning ?? this.graph.context.defaultParallelism) }
  }

  protected compute(time: Time): RDD<unknown> {
    const { windowMs, slideMs } = this.#options
    const reduced = this.dependencies[0]!
    const step = reduced.slideMs
    return new FunctionScope(this.id, null).run(() => {
      const { reduce, inverse, filter, partitioner } = this.#nameFunctions()
      const isAfterGap = this.#carriedTo !== null && time - slideMs <= this.#carriedTo
      const before = isAfterGap ? null : this.previous(time)
      // A slide longer than the window skips batches: they neither came nor left.
      const leftTo = time - Math.max(windowMs, slideMs)
      const left = before === null ? [] : rddsBetween(reduced, time - slideMs - windowMs + step, leftTo)
      const came = rddsBetween(reduced, time - (before === null ? windowMs : Math.min(windowMs, slideMs)) + step, time)
      const inputs = [...(before === null ? [] : [before]), ...left, ...came] as Pairs[]
      if (inputs.length === 0) return this.graph.context.emptyRDD<unknown>()
      const placed = inputs.map((rdd) => rdd.partitionBy(partitioner))
      const counts = [before === null ? 0 : 1, left.length] as const
      return zipped(placed, mergedWindow(reduce, inverse, filter, counts), partitioner)
    })
  }
}

type Binary = (a: unknown, b: unknown) => unknown

/** What one key had in the window before, and what left and came since. */
interface Parts {
  before: { value: unknown } | null
  left: { value: unknown } | null
  came: { value: unknown } | null
}

const mergedWindow: (
  reduce: TaskFunction,
  inverse: TaskFunction,
  filter: TaskFunction | null,
  counts: readonly [before: number, left: number],
) => LibraryFunction = libraryFunction(
  'mergeWindow',
  (
    reduce: Binary,
    inverse: Binary,
    filter: ((pair: Pair<unknown, unknown>) => unknown) | null,
    [beforeCount, leftCount]: readonly [number, number],
  ) =>
    async (sides: readonly Iterable<Pair<unknown, unknown>>[]) => {
      const keys = new KeyedMap<Parts>()
      const merged: Pair<unknown, unknown>[] = []
      const pacer = new Pacer()
      let n = 0
      let current: readonly [key: unknown, value: unknown] | null = null
      try {
        for (const [side, pairs] of sides.entries()) {
          const part = side < beforeCount ? 'before' : side < beforeCount + leftCount ? 'left' : 'came'
          for (const pair of pairs) {
            current = pair
            if ((++n & 255) === 0 && pacer.isDue) await pacer.turn()
            const [key, value] = pair
            let parts = keys.get(key)
            if (parts === undefined) {
              parts = { before: null, left: null, came: null }
              keys.set(key, parts)
            }
            const sum = parts[part]
            if (sum === null) parts[part] = { value }
            else sum.value = reduce(sum.value, value)
          }
        }
        for (const entry of keys) {
          current = entry
          const pair = [entry[0], mergedValue(entry[0], entry[1], reduce, inverse)] as const
          if (filter === null || filter(pair)) merged.push(pair)
        }
      } catch (error) {
        throw new RecordError(error, current)
      }
      return merged
    },
)

function mergedValue(key: unknown, { before, left, came }: Parts, reduce: Binary, inverse: Binary): unknown {
  if (before === null) {
    if (came !== null) return came.value
    throw new MillraceError(
      'ILLEGAL_STATE',
      `Neither the previous window has a value for key ${String(key)}, nor did one come: either the filter dropped a key that still counted, or equal keys do not compare as equal.`,
    )
  }
  let { value } = before
  if (left !== null) value = inverse(value, left.value)
  if (came !== null) value = reduce(value, came.value)
  return value
}
