/**
 * Values that tasks add to and the driver reads. An accumulator is known by its number in its context: a worker that has built
 * the same graph has the same ones, collects what its tasks add, and sends it back with their results.
 */
import { MillraceError } from '../errors.js'

/** What one task added to one accumulator, on its way to the driver. */
export interface AccumulatorUpdate {
  readonly id: number
  readonly value: unknown
}

/**
 * The base of accumulators, for one's own kinds: how values are added, merged and reset. Register it with
 * `sparkContext.register`. In tasks use `add` only; on the driver read `value`. What an action's task adds counts once, when the task
 * succeeds; what a transformation adds counts each time it is computed. Accumulators do not survive a restart.
 *
 * ```ts
 * import { StreamingContext } from 'millrace'
 * const { sparkContext } = new StreamingContext({ appName: 'parse', batchInterval: '1s' })
 * const bad = sparkContext.longAccumulator('bad lines')
 * await sparkContext.parallelize(['1', 'x']).foreach((text) => {
 *   if (Number.isNaN(Number(text))) bad.add(1)
 * })
 * bad.value // 1
 * ```
 */
export abstract class Accumulator<In, Out> {
  #id: number | null = null
  #name: string | null = null

  abstract add(value: In): void
  /** The value so far; on a worker, what its tasks added since it last told the driver. */
  abstract get value(): Out
  /** True while nothing was added. */
  abstract get isZero(): boolean
  /** Takes in what another accumulator of this kind gave as `toUpdate`. */
  abstract merge(update: unknown): void
  /** What was added, as plain data that can cross a thread or a process. */
  abstract toUpdate(): unknown
  /** Back to the value before anything was added. */
  abstract reset(): void

  /** The name, as given, or null. */
  get name(): string | null {
    return this.#name
  }

  get isRegistered(): boolean {
    return this.#id !== null
  }

  /** The number in the context. Throws `ILLEGAL_STATE` when it is not registered. @internal */
  get id(): number {
    if (this.#id === null)
      throw new MillraceError(
        'ILLEGAL_STATE',
        'This accumulator is not registered: call sparkContext.register(accumulator).',
      )
    return this.#id
  }

  /** @internal */
  register(id: number, name: string | null): void {
    if (this.#id !== null) throw new MillraceError('ILLEGAL_STATE', 'An accumulator can be registered only once.')
    this.#id = id
    this.#name = name
  }
}

/** Count, sum and average of numbers. Spark's LongAccumulator and DoubleAccumulator. */
export class NumberAccumulator extends Accumulator<number, number> {
  #sum = 0
  #count = 0

  add(value: number): void {
    this.#sum += value
    this.#count++
  }

  /** The sum. */
  get value(): number {
    return this.#sum
  }

  get sum(): number {
    return this.#sum
  }

  /** How often something was added. */
  get count(): number {
    return this.#count
  }

  /** NaN while nothing was added. */
  get avg(): number {
    return this.#sum / this.#count
  }

  get isZero(): boolean {
    return this.#count === 0 && this.#sum === 0
  }

  merge(update: unknown): void {
    const [sum, count] = update as [number, number]
    this.#sum += sum
    this.#count += count
  }

  toUpdate(): unknown {
    return [this.#sum, this.#count]
  }

  reset(): void {
    this.#sum = 0
    this.#count = 0
  }
}

/** A list of everything that was added, in no promised order. */
export class CollectionAccumulator<T> extends Accumulator<T, readonly T[]> {
  #items: T[] = []

  add(value: T): void {
    this.#items.push(value)
  }

  get value(): readonly T[] {
    return this.#items
  }

  get isZero(): boolean {
    return this.#items.length === 0
  }

  merge(update: unknown): void {
    for (const item of update as T[]) this.#items.push(item)
  }

  toUpdate(): unknown {
    return this.#items
  }

  reset(): void {
    this.#items = []
  }
}

/** The accumulators of one context, by number. */
export class AccumulatorRegistry {
  readonly #accumulators: Accumulator<never, unknown>[] = []

  add(accumulator: Accumulator<never, unknown>, name: string | null): void {
    accumulator.register(this.#accumulators.length, name)
    this.#accumulators.push(accumulator)
  }

  /** On a worker, after a task: what it added, taken out. */
  drain(): AccumulatorUpdate[] {
    const used = this.#accumulators.filter((accumulator) => !accumulator.isZero)
    return used.map((accumulator) => {
      const update = { id: accumulator.id, value: accumulator.toUpdate() }
      accumulator.reset()
      return update
    })
  }

  /** On the driver, for each task that succeeded. An accumulator that the driver does not have is one the graph does not use any more. */
  merge(updates: readonly AccumulatorUpdate[]): void {
    for (const { id, value } of updates) this.#accumulators[id]?.merge(value)
  }
}
