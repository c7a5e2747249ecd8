/**
 * What stands behind a DStream: a node of the graph that can say which RDD it has at a time. A kind of node is defined by
 * three things, as in Spark: the nodes it depends on, how often it produces (its slide), and `compute`. What all kinds
 * share, remembering and forgetting RDDs, is here.
 */
import { MillraceError } from '../errors.js'
import type { RDD } from '../rdd/rdd.js'
import type { StorageLevel } from '../rdd/storage-level.js'
import { isMultipleOf, type Time } from '../time.js'
import type { DStreamGraph } from './dstream-graph.js'

export abstract class StreamNode {
  readonly graph: DStreamGraph
  /** The user's operation, such as `map`. */
  readonly operation: string
  readonly #order: number
  #name: string | null = null
  readonly #generated = new Map<Time, RDD<unknown>>()
  #rememberMs = 0
  #storageLevel: StorageLevel | null = null

  constructor(graph: DStreamGraph, operation: string) {
    this.graph = graph
    this.operation = operation
    this.#order = graph.add(this)
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

  /** Makes this node keep at least `ms` of its RDDs, and its parents what it needs of them. */
  remember(ms: number): void {
    this.#rememberMs = Math.max(this.#rememberMs, ms, this.slideMs)
    for (const parent of this.dependencies) parent.remember(this.parentRememberMs)
  }

  /** How often the RDD of this stream must be saved, since each is computed from the one before; null for streams without such state. */
  get checkpointMs(): number | null {
    return null
  }

  /** Takes `rdd`, saved by an earlier run, as the one of `time`. */
  restore(time: Time, rdd: RDD<unknown>): void {
    this.keep(time, rdd)
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
    const rdd = this.compute(time)
    if (rdd === null) return null
    this.keep(time, rdd)
    return rdd
  }

  /** Drops the RDDs no batch can ask for once the batch of `time` is done. */
  forget(time: Time): void {
    for (const [generatedAt, rdd] of this.#generated) {
      if (generatedAt > time - this.#rememberMs) continue
      this.#generated.delete(generatedAt)
      this.release(rdd)
    }
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
    if (this.#storageLevel !== null) rdd.unpersist()
  }
}
