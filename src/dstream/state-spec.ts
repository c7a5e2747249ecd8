/** What `mapWithState` is told: the function, and where and how long states live. */
import { MillraceError } from '../errors.js'
import { type Partitioning, toPartitioner } from '../rdd/combination.js'
import type { Item, Pair } from '../rdd/pair.js'
import type { RDD } from '../rdd/rdd.js'
import type { AnyFunction } from '../rdd/task-function.js'
import { type Duration, type Time, toMilliseconds } from '../time.js'
import type { State } from './state.js'

/** Called for each record: what it returns is a record of the result. `value` is null only when the key is timing out. */
export type StateFunction<K, V, S, M> = (key: K, value: V | null, state: State<S>) => M

/** As StateFunction, with the time of the batch first; null or undefined puts nothing into the result. */
export type TimedStateFunction<K, V, S, M> = (
  time: Time,
  key: K,
  value: V | null,
  state: State<S>,
) => M | null | undefined

/** The options of a StateSpec as the node reads them. @internal */
export interface StateOptions {
  readonly f: AnyFunction
  readonly isTimed: boolean
  readonly initialState: RDD<unknown> | readonly unknown[] | null
  readonly partitioning: Partitioning | undefined
  readonly timeoutMs: number | null
}

/**
 * A function of key, value and state, with the options of `mapWithState`; each option returns this spec. Spark's StateSpec.
 *
 * ```ts
 * import { StateSpec, type State } from 'millrace'
 * const spec = StateSpec.function((_: string, value: number | null, state: State<number>) => {
 *   state.update((state.getOption() ?? 0) + (value ?? 0))
 *   return state.get()
 * }).timeout('10m')
 * ```
 */
export class StateSpec<K, V, S, M> {
  /** Tells specs of different types apart; not there at run time. @internal */
  declare readonly types: (key: K, value: V, state: S) => M
  /** A plain field: the test harness copies specs to threads. @internal */
  options: StateOptions

  private constructor(f: AnyFunction, isTimed: boolean) {
    if (typeof f !== 'function') throw new MillraceError('ILLEGAL_ARGUMENT', `A StateSpec needs a function, not ${f}.`)
    this.options = { f, isTimed, initialState: null, partitioning: undefined, timeoutMs: null }
  }

  /** A spec for `f(key, value, state)`, every result of which is a record. Throws `ILLEGAL_ARGUMENT` for what is no function. */
  static function<K, V, S, M extends Item>(f: StateFunction<K, V, S, M>): StateSpec<K, V, S, M> {
    return new StateSpec<K, V, S, M>(f, false)
  }

  /**
   * A spec for `f(time, key, value, state)`, whose null and undefined results are left out. Spark's second form of
   * `StateSpec.function`.
   *
   * ```ts
   * import { type State, StateSpec, StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'first-seen', batchInterval: '1s' })
   * const firstSeen = StateSpec.functionWithTime((time, word: string, _one: number | null, seen: State<number>) => {
   *   if (seen.exists()) return null
   *   seen.update(time)
   *   return `${word} first came at ${time}`
   * })
   * ssc.queueStream([['a', 'b'], ['a']]).map((word) => [word, 1]).mapWithState(firstSeen).print()
   * ```
   */
  static functionWithTime<K, V, S, M extends Item>(
    f: TimedStateFunction<K, V, S, M>,
  ): StateSpec<K, V, S, NonNullable<M>> {
    return new StateSpec<K, V, S, NonNullable<M>>(f, true)
  }

  /** States that are there before the first batch, with the time of that batch. */
  initialState(states: RDD<Pair<K, S>> | readonly Pair<K, S>[]): this {
    if (states === null || states === undefined)
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `The initial state must be an RDD or an array of pairs, not ${states}.`,
      )
    this.options = { ...this.options, initialState: states }
    return this
  }

  /** Into how many partitions the keys are hashed. */
  numPartitions(partitions: number): this {
    return this.partitioner(toPartitioner(partitions))
  }

  /** Where each key lives. */
  partitioner(partitioner: Partitioning): this {
    this.options = { ...this.options, partitioning: partitioner }
    return this
  }

  /** Removes a state for whose key nothing came for longer than `idle`, after one last call with `isTimingOut()` true. Looked for at the checkpoint times of the states, every 10 batches unless told otherwise. */
  timeout(idle: Duration): this {
    this.options = { ...this.options, timeoutMs: toMilliseconds(idle) }
    return this
  }
}
