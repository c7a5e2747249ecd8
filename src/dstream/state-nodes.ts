/** Streams whose RDD is made from the one before: `updateStateByKey` and the states of `mapWithState`. */
import { assertFunction } from '../arguments.js'
import { type Partitioning, toPartitioner, zipped } from '../rdd/combination.js'
import type { Pair } from '../rdd/pair.js'
import { type Partitioner, samePartitioner } from '../rdd/partitioner.js'
import type { RDD } from '../rdd/rdd.js'
import { StorageLevel } from '../rdd/storage-level.js'
import { type AnyFunction, FunctionScope, type TaskFunction, userFunction } from '../rdd/task-function.js'
import type { Time } from '../time.js'
import { TransformedNode } from './nodes.js'
import { changedStates, encodedStates, pairChanges, stateColumns } from './state-layers.js'
import type { StateOptions } from './state-spec.js'
import {
  entriesOfLayers,
  mappedRecords,
  statesOfEntries,
  statesOfLayers,
  statesOfPairs,
  type UpdateForm,
  updatedByKey,
  updatedStates,
} from './state-update.js'
import { StreamNode } from './stream-node.js'

type Pairs = RDD<Pair<unknown, unknown>>

/** What both kinds share: one parent, its slide, and a history that must be cut. */
abstract class StateNode extends StreamNode {
  readonly dependencies: readonly StreamNode[]
  readonly #f: AnyFunction
  readonly #partitioning: Partitioning | undefined
  readonly #initialState: Pairs | readonly unknown[] | null

  constructor(
    parent: StreamNode,
    operation: string,
    options: Pick<StateOptions, 'f' | 'partitioning' | 'initialState'>,
  ) {
    assertFunction(options.f, operation)
    super(parent.graph, operation)
    this.dependencies = [parent]
    this.#f = options.f
    this.#partitioning = options.partitioning
    this.#initialState = options.initialState as Pairs | readonly unknown[] | null
    this.persist(StorageLevel.MEMORY_ONLY_SER)
  }

  override get slideMs(): number {
    return this.dependencies[0]!.slideMs
  }

  override get mustCheckpoint(): boolean {
    return true
  }

  /** The history is cut after every batch: nothing is computed again from the parent's earlier RDDs. */
  override get parentRememberMs(): number {
    return 0
  }

  override functions(): readonly AnyFunction[] {
    const scope = this.scope()
    scope.run(() => this.nameFunctions())
    return scope.functions
  }

  protected scope(): FunctionScope {
    return new FunctionScope(this.id, null)
  }

  /** Names the user's functions, always in the same order: the update, then the partitioner's. */
  protected nameFunctions(): { readonly f: TaskFunction; readonly partitioner: Partitioner } {
    const f = userFunction(this.#f)
    return { f, partitioner: toPartitioner(this.#partitioning ?? this.graph.context.defaultParallelism) }
  }

  /** The states given by the user, where their keys live; null when none were given. */
  protected initialPairs(partitioner: Partitioner): Pairs | null {
    const given = this.#initialState
    if (given === null) return null
    const rdd = isArray(given) ? this.graph.context.fromSlices([given as Pair<unknown, unknown>[]]) : given
    return rdd.partitionBy(partitioner)
  }

  /** No records, in partitions that lie by this node's partitioner. */
  protected noRecords(partitioner: Partitioner): Pairs {
    const slices = Array.from({ length: partitioner.partitions }, () => [])
    const empty = this.graph.context.emptyRDD<Pair<unknown, unknown>>()
    return empty.derive({ type: 'parallelized', partitions: partitioner.partitions, partitioner, slices })
  }
}

/** `updateStateByKey`: every key's state, each batch. */
export class UpdatedStateNode extends StateNode {
  readonly #form: UpdateForm
  readonly #keepsPartitioner: boolean

  constructor(
    parent: StreamNode,
    options: Pick<StateOptions, 'partitioning' | 'initialState' | 'f'> & {
      readonly form: UpdateForm
      /** False when the function may give keys that live elsewhere. */
      readonly keepsPartitioner: boolean
    },
  ) {
    super(parent, 'updateStateByKey', options)
    this.#form = options.form
    this.#keepsPartitioner = options.keepsPartitioner
  }

  /** A function that gives whole partitions may give a key twice: then there are no changes by key. */
  override encodedChanges(before: RDD<unknown>, after: RDD<unknown>): RDD<unknown> | null {
    return this.#form === 'partition' ? null : pairChanges(before, after)
  }

  protected compute(time: Time): RDD<unknown> | null {
    return this.scope().run(() => {
      const { f, partitioner } = this.nameFunctions()
      const before = this.previous(time) as Pairs | null
      const records = this.dependencies[0]!.rddAt(time) as Pairs | null
      const states = before ?? (records === null ? null : this.initialPairs(partitioner))
      if (records === null && states === null) return null
      const sides = [
        { role: 'records' as const, rdd: records },
        { role: 'states' as const, rdd: states },
      ].filter((side) => side.rdd !== null)
      const placed = sides.map(({ rdd }) => rdd!.partitionBy(partitioner))
      const roles = sides.map(({ role }) => role)
      const update = updatedByKey(f, this.#form, time, roles)
      return zipped(placed, update, this.#keepsPartitioner ? partitioner : null)
    })
  }
}

/** The states of `mapWithState`: one StatePartition a partition. What is seen of it is made by the nodes after it. */
export class MapWithStateNode extends StateNode {
  readonly #options: StateOptions

  constructor(parent: StreamNode, options: StateOptions) {
    super(parent, 'mapWithState', options)
    this.#options = options
    this.persist(StorageLevel.MEMORY_ONLY)
  }

  protected override get defaultCheckpointMs(): number {
    return this.slideMs * 10
  }

  protected compute(time: Time): RDD<unknown> {
    return this.scope().run(() => {
      const { f, partitioner } = this.nameFunctions()
      const { isTimed, timeoutMs } = this.#options
      const before = this.previous(time) ?? this.#firstStates(time, partitioner)
      const records = (this.dependencies[0]!.rddAt(time) as Pairs | null) ?? this.noRecords(partitioner)
      const update = {
        isTimed,
        time,
        timeoutBefore: timeoutMs === null ? null : time - timeoutMs,
        sweeps: this.isCheckpointTime(time),
      }
      return zipped([before, records.partitionBy(partitioner)], updatedStates(f, update), partitioner)
    })
  }

  #firstStates(time: Time, partitioner: Partitioner): RDD<unknown> {
    const pairs = this.initialPairs(partitioner) ?? this.noRecords(partitioner)
    return pairs.mapped({ type: 'iterate', f: statesOfPairs(this.#byTime, time) }, true)
  }

  /** The states in columns. */
  override saved(states: RDD<unknown>): RDD<unknown> {
    return states.mapped({ type: 'iterate', f: stateColumns() }, true)
  }

  override encoded(states: RDD<unknown>): RDD<unknown> {
    return states.mapped({ type: 'iterate', f: encodedStates() })
  }

  override encodedChanges(before: RDD<unknown>, after: RDD<unknown>): RDD<unknown> {
    return zipped([before, after], changedStates(), after.partitioner)
  }

  override get savesColumns(): boolean {
    return true
  }

  /** Takes columns read back from a checkpoint, in layers, as the states of `time`. */
  override restore(time: Time, layers: readonly RDD<unknown>[]): void {
    const { partitioner } = this.scope().run(() => this.nameFunctions())
    const areInPlace = layers.every((layer) => samePartitioner(layer.partitioner, partitioner))
    const states = areInPlace
      ? zipped(layers, statesOfLayers(this.#byTime), partitioner)
      : zipped<Pair<unknown, unknown>>(layers, entriesOfLayers(), null)
          .partitionBy(partitioner)
          .mapped({ type: 'iterate', f: statesOfEntries(this.#byTime) }, true)
    this.keep(time, states)
  }

  get #byTime(): boolean {
    return this.#options.timeoutMs !== null
  }
}

/** What the function of `mapWithState` returned: the stream the user holds. Checkpointing it checkpoints the states. */
export class MappedNode extends TransformedNode {
  constructor(states: MapWithStateNode) {
    super(states.graph, {
      operation: 'mapped',
      parents: [states],
      build: ([rdd]) => rdd!.mapped({ type: 'flatMap', f: mappedRecords() }),
      whenNone: 'none',
    })
  }

  override checkpoint(ms: number): void {
    this.dependencies[0]!.checkpoint(ms)
  }

  /** A name given to the result is the name of the states: they are what must be found again. */
  override rename(name: string): void {
    this.dependencies[0]!.rename(name)
  }
}

function isArray(states: Pairs | readonly unknown[]): states is readonly unknown[] {
  return Array.isArray(states)
}
