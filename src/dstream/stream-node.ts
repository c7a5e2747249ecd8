/**
 * What stands behind a DStream: a node of the graph that can say which RDD it has at a time. A kind of node is defined by
 * three things, as in Spark: the nodes it depends on, how often it produces (its slide), and `compute`. What all kinds
 * share, remembering and forgetting RDDs, is here.
 */
import { MillraceError } from '../errors.js'
import { CallSite } from '../rdd/call-site.js'
import type { Lineage } from '../rdd/lineage.js'
import type { RDD } from '../rdd/rdd.js'
import { StorageLevel } from '../rdd/storage-level.js'
import type { AnyFunction } from '../rdd/task-function.js'
import { isMultipleOf, type Time } from '../time.js'
import type { DStreamGraph } from './dstream-graph.js'
import { ownShuffles } from './own-shuffles.js'
import { encodedLayer, layersMerged } from './state-layers.js'

export abstract class StreamNode {
  readonly graph: DStreamGraph
  /** The user's operation, such as `map`. */
  readonly operation: string
  /** Where the user wrote it. */
  readonly callSite: CallSite = new CallSite()
  readonly #order: number
  #name: string | null = null
  readonly #generated = new Map<Time, RDD<unknown>>()
  /** For RDDs made here, the first id that was free before. */
  readonly #firstIds = new WeakMap<RDD<unknown>, number>()
  /** Times whose RDDs stay, whatever is forgotten: what was saved of them is compared with later ones. */
  readonly retained: Set<Time> = new Set<Time>()
  #rememberMs = 0
  #storageLevel: StorageLevel | null = null
  #checkpointMs: number | null = null

  constructor(graph: DStreamGraph, operation: string) {
    this.graph = graph
    this.operation = operation
    this.#order = graph.add(this)
  }

  /** The name the user gave, or null. */
  get name(): string | null {
    return this.#name
  }

  /** `<order>-<operation>`, or the name the user gave: under this id functions and state are found again. */
  get id(): string {
    return this.#name ?? `${this.#order}-${this.operation}`
  }

  /** Fixes the id, for state that must outlive edits of the graph. Throws `ILLEGAL_ARGUMENT` when another node has it. */
  rename(name: string): void {
    this.graph.assertOpen()
    if (this.graph.nodes.some((node) => node !== this && node.id === name)) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `The graph already has an operator named ${name}; every name must be its own.`,
      )
    }
    this.#name = name
  }

  abstract get dependencies(): readonly StreamNode[]
  /** How often this stream produces an RDD, in milliseconds. */
  abstract get slideMs(): number
  /** The RDD at `time`, or null for none. Called once a time. */
  protected abstract compute(time: Time): RDD<unknown> | null

  /** How long the parents must keep their RDDs beyond this stream's own need. */
  get parentRememberMs(): number {
    return this.#rememberMs
  }

  get rememberMs(): number {
    return this.#rememberMs
  }

  get storageLevel(): StorageLevel | null {
    return this.#storageLevel
  }

  persist(level: StorageLevel): void {
    this.graph.assertOpen('UNSUPPORTED')
    this.#storageLevel = level
  }

  /** True if every RDD is made from the one before: it is state, saved for a restart, and its history is cut, or it would grow without end. */
  get mustCheckpoint(): boolean {
    return false
  }

  /** How often this stream is checkpointed when nobody says: Spark's choice, the multiple of the slide that reaches ten seconds. */
  protected get defaultCheckpointMs(): number {
    return this.slideMs * Math.ceil(10_000 / this.slideMs)
  }

  /** How often the RDDs of this stream are saved, in milliseconds, or null for never. */
  get checkpointMs(): number | null {
    return this.#checkpointMs ?? (this.mustCheckpoint ? this.defaultCheckpointMs : null)
  }

  /** Checkpoints every `ms`, and keeps the RDDs between. */
  checkpoint(ms: number): void {
    this.graph.assertOpen('UNSUPPORTED')
    this.#checkpointMs = ms
    if (this.#storageLevel === null) this.persist(StorageLevel.MEMORY_ONLY_SER)
  }

  /** True at the times whose RDD is checkpointed. */
  isCheckpointTime(time: Time): boolean {
    return this.checkpointMs !== null && isMultipleOf(time - this.graph.zeroTime, this.checkpointMs)
  }

  /** Checks what can be checked only when the graph is complete. Throws `ILLEGAL_ARGUMENT` for a checkpoint interval that is no multiple of the slide. */
  validate(): void {
    const ms = this.checkpointMs
    if (ms === null) return
    if (ms < this.slideMs || !isMultipleOf(ms, this.slideMs)) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `The checkpoint interval of ${this.id} is ${ms} ms; it must be a multiple of its slide, ${this.slideMs} ms.`,
      )
    }
    this.remember(2 * ms)
  }

  /**
   * The user's functions of this operator, by number: how a worker finds a function by its id. `rdds` stand for the parents'
   * RDDs of `time`; nothing is computed.
   */
  functions(_rdds: readonly RDD<unknown>[], _time: Time): readonly AnyFunction[] {
    return []
  }

  /** True when the functions may differ from batch to batch, because the user's callback makes them. */
  get functionsVary(): boolean {
    return false
  }

  /** How far this stream looks back at its parent, in milliseconds; null for one that is no window. */
  get windowMs(): number | null {
    return null
  }

  /** Makes this node keep at least `ms` of its RDDs, and its parents what it needs of them. */
  remember(ms: number): void {
    this.#rememberMs = Math.max(this.#rememberMs, ms, this.slideMs)
    for (const parent of this.dependencies) parent.remember(this.parentRememberMs)
  }

  /** What is saved of this stream's RDD; `restore` gets it back. */
  saved(rdd: RDD<unknown>): RDD<unknown> {
    return rdd
  }

  /** What `saved` gives, as the chunks of a layer. */
  encoded(rdd: RDD<unknown>): RDD<unknown> {
    return this.saved(rdd).mapped({ type: 'iterate', f: encodedLayer() })
  }

  /** What of this stream's RDD changed from `before`, an earlier one, as the chunks of a layer over what was saved of that; null where only the whole can be saved. */
  encodedChanges(_before: RDD<unknown>, _after: RDD<unknown>): RDD<unknown> | null {
    return null
  }

  /** True if the records that `saved` gives are columns of states, of which layers say what changed by number. */
  get savesColumns(): boolean {
    return false
  }

  /** Takes what an earlier run saved, the whole and then layers of changes, as the RDD of `time`. */
  restore(time: Time, layers: readonly RDD<unknown>[]): void {
    this.keep(time, layersMerged(layers))
  }

  /** True if there is an RDD of a later time: state of `time` is not needed any more. */
  hasAfter(time: Time): boolean {
    for (const generatedAt of this.#generated.keys()) if (generatedAt > time) return true
    return false
  }

  /** Makes the latest RDD up to `from` the one of `to`, when the batches between were left out. */
  carry(from: Time, to: Time): void {
    let latest: Time | null = null
    for (const time of this.#generated.keys()) if (time <= from && (latest === null || time > latest)) latest = time
    const rdd = latest === null ? undefined : this.#generated.get(latest)
    if (rdd !== undefined && !this.#generated.has(to)) this.keep(to, rdd)
  }

  /** True at the times this stream produces: multiples of its slide after the zero time. */
  isValid(time: Time): boolean {
    const { zeroTime } = this.graph
    return time > zeroTime && isMultipleOf(time - zeroTime, this.slideMs)
  }

  /** The RDD at `time`: the one made before, or one made now; null where this stream has none. */
  rddAt(time: Time): RDD<unknown> | null {
    const known = this.#generated.get(time)
    if (known !== undefined) return known
    if (!this.isValid(time)) return null
    const firstId = this.graph.context.firstFreeRddId
    const rdd = this.compute(time)
    if (rdd === null) return null
    this.#firstIds.set(rdd, firstId)
    this.keep(time, rdd)
    return rdd
  }

  /**
   * Replaces the history of the RDD of `time` by its partitions, kept in memory: after every batch where each RDD is made from
   * the one before, else at the checkpoint times. Where lost partitions are computed again from their history, that stays until
   * state is saved.
   */
  async cutHistory(time: Time): Promise<void> {
    if (this.graph.context.runner.needsHistory === true) return
    if (!this.mustCheckpoint && !this.isCheckpointTime(time)) return
    const rdd = this.#generated.get(time)
    if (rdd === undefined || rdd.lineage.type === 'checkpointed') return
    const job = { batchTime: time, outputId: null, name: `keep ${this.id}`, callSite: this.callSite }
    const history = rdd.lineage
    rdd.lineage = await rdd.context.runner.checkpoint(history, null, job)
    this.#forgetShuffles(rdd, history)
  }

  /** The RDD one slide before `time`, after making any that are missing before it, oldest first. */
  protected previous(time: Time): RDD<unknown> | null {
    let from = time - this.slideMs
    const { earliestTime } = this.graph
    while (this.isValid(from) && from >= earliestTime && !this.#generated.has(from)) from -= this.slideMs
    if (!this.#generated.has(from)) from += this.slideMs
    let rdd: RDD<unknown> | null = null
    for (let at = from; at < time; at += this.slideMs) rdd = this.rddAt(at)
    return rdd
  }

  /** Drops the RDDs no batch can ask for once the batch of `time` is done. */
  forget(time: Time): void {
    for (const [generatedAt, rdd] of this.#generated) {
      if (generatedAt > time - this.#rememberMs || this.retained.has(generatedAt)) continue
      this.#generated.delete(generatedAt)
      // An RDD carried over a gap stands at two times.
      if (![...this.#generated.values()].includes(rdd)) this.release(rdd)
    }
  }

  /** Drops the RDDs of `time` and later, so that they are made anew when they are asked for. */
  discardFrom(time: Time): void {
    for (const generatedAt of this.#generated.keys()) if (generatedAt >= time) this.discard(generatedAt)
  }

  protected discard(time: Time): void {
    const rdd = this.#generated.get(time)
    this.#generated.delete(time)
    if (rdd !== undefined && ![...this.#generated.values()].includes(rdd)) this.release(rdd)
  }

  /** The RDDs kept now, by time. */
  get generated(): ReadonlyMap<Time, RDD<unknown>> {
    return this.#generated
  }

  /** Takes `rdd` as the one of `time`. */
  protected keep(time: Time, rdd: RDD<unknown>): void {
    if (this.#storageLevel !== null && rdd.lineage.storageLevel === null) rdd.persist(this.#storageLevel)
    this.#generated.set(time, rdd)
  }

  protected release(rdd: RDD<unknown>): void {
    if (this.#storageLevel !== null) rdd.context.runner.unpersist(rdd.id)
    this.#forgetShuffles(rdd, rdd.lineage)
  }

  /** Lets go of what shuffles wrote for this RDD alone, without waiting for the garbage collector to find that nobody asks for it. */
  #forgetShuffles(rdd: RDD<unknown>, history: Lineage): void {
    const { runner } = rdd.context
    const firstId = this.#firstIds.get(rdd)
    if (runner.forgetShuffle === undefined || firstId === undefined) return
    const kept = new Set<Lineage>()
    for (const node of [this, ...this.dependencies])
      for (const { lineage } of node.#generated.values()) kept.add(lineage)
    for (const shuffle of ownShuffles(history, firstId, kept)) runner.forgetShuffle(shuffle)
  }
}
