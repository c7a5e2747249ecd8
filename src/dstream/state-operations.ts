/** Operations that carry state from batch to batch. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import type { Partitioning } from '../rdd/combination.js'
import type { Item, Pair } from '../rdd/pair.js'
import type { RDD } from '../rdd/rdd.js'
import type { Time } from '../time.js'
import type { DStream } from './dstream.js'
import { MappedNode, MapWithStateNode, UpdatedStateNode } from './state-nodes.js'
import type { StateSpec } from './state-spec.js'
import { statePairs } from './state-update.js'
import { WindowOperations } from './window-operations.js'

/** What `mapWithState` returns: a stream of what the function returned, and the states beside it. */
export interface MapWithStateDStream<K, S, M> extends DStream<M> {
  /** Every key with its state, each batch. */
  stateSnapshots(): DStream<Pair<K, S>>
}

/** States from before the first batch: an RDD of pairs or an array of them. */
export type InitialState<K, S> = RDD<Pair<K, S>> | readonly Pair<K, S>[]

export abstract class StateOperations extends WindowOperations {
  /**
   * A state for every key, each batch: `f(values, state)` gets the values of the batch, none for a key nothing came for, and
   * the state, `null` for a new key; it returns the next state, or null or undefined to remove the key. It is called for
   * every key in every batch, so a batch costs by the keys; `mapWithState` costs by the records. Say the type of the state in
   * the parameter; everything else is inferred.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'totals', batchInterval: '1s' })
   * ssc.queueStream([['a', 'b'], ['a']])
   *   .map((word) => [word, 1])
   *   .updateStateByKey((values, total: number | null) => values.reduce((a, b) => a + b, total ?? 0))
   *   .print() // (a,1) (b,1), then (a,2) (b,1)
   * ```
   */
  updateStateByKey<K, V, S>(
    this: DStream<Pair<K, V>>,
    f: (values: V[], state: S | null) => S | null | undefined,
    partitioning?: Partitioning,
    initialState: InitialState<K, NonNullable<S>> | null = null,
  ): DStream<Pair<K, NonNullable<S>>> {
    const options = { f, form: 'simple' as const, partitioning, initialState, keepsPartitioner: true }
    return this.over(new UpdatedStateNode(this.node, options))
  }

  /**
   * As `updateStateByKey`, the function told the time of the batch and the key. Spark's form of `updateStateByKey` with a time.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'last-seen', batchInterval: '1s' })
   * ssc.queueStream([['a', 'b'], ['a']])
   *   .map((word) => [word, 1])
   *   .updateStateByKeyWithTime((time, _word, values, seen: number | null) => (values.length > 0 ? time : seen))
   *   .print() // when each word came last
   * ```
   */
  updateStateByKeyWithTime<K, V, S>(
    this: DStream<Pair<K, V>>,
    f: (time: Time, key: K, values: V[], state: S | null) => S | null | undefined,
    partitioning?: Partitioning,
    initialState: InitialState<K, NonNullable<S>> | null = null,
  ): DStream<Pair<K, NonNullable<S>>> {
    const options = { f, form: 'timed' as const, partitioning, initialState, keepsPartitioner: true }
    return this.over(new UpdatedStateNode(this.node, options))
  }

  /**
   * As `updateStateByKey`, a partition at a time: `f` gets `[key, values, state]` for every key of the partition and returns
   * the pairs that are the next states. `keepsKeys` false: the keys it returns may live in other partitions. Spark's form of
   * `updateStateByKey` with an iterator.
   */
  updateStateByKeyPartitions<K, V, S extends {}, L = K>(
    this: DStream<Pair<K, V>>,
    f: (keys: readonly (readonly [key: K, values: V[], state: S | null])[]) => Iterable<Pair<L, S>>,
    partitioning?: Partitioning,
    initialState: InitialState<K, S> | null = null,
    keepsKeys = true,
  ): DStream<Pair<L, S>> {
    return this.over(
      new UpdatedStateNode(this.node, {
        f,
        form: 'partition',
        partitioning,
        initialState,
        keepsPartitioner: keepsKeys,
      }),
    )
  }

  /**
   * A record for every call of the spec's function, which is called once for each record of the batch with the key's state,
   * and once for every key that times out. A batch costs by its records, however many keys have state.
   *
   * ```ts
   * import { type State, StateSpec, StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'totals', batchInterval: '1s' })
   * const total = (word: string, one: number | null, state: State<number>): [string, number] => {
   *   state.update((state.getOption() ?? 0) + (one ?? 0))
   *   return [word, state.get()]
   * }
   * ssc.queueStream([['a', 'b'], ['a']])
   *   .map((word) => [word, 1])
   *   .mapWithState(StateSpec.function(total))
   *   .print() // (a,1) (b,1), then (a,2)
   * ```
   */
  mapWithState<K, V, S, M extends Item>(
    this: DStream<Pair<K, V>>,
    spec: StateSpec<K, V, S, M>,
  ): MapWithStateDStream<K, S, M> {
    if (spec?.options === undefined) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `mapWithState needs a StateSpec, not ${kindOf(spec)}.`)
    }
    const states = new MapWithStateNode(this.node, spec.options)
    const stateSnapshots = (): DStream<Pair<K, S>> =>
      this.over<unknown>(states).derive('stateSnapshots', (rdd) =>
        rdd.mapped<Pair<K, S>>({ type: 'flatMap', f: statePairs() }, true),
      )
    return Object.assign(this.over<M>(new MappedNode(states)), { stateSnapshots })
  }
}
