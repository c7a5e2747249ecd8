/** Which thread holds the values of which kept partitions, and so where a task would rather run. */
import { type Lineage, parentsOf } from '../../rdd/lineage.js'
import type { Preference } from './task-set.js'

/** Bytes that are turned into records in a millisecond, about. */
const bytesPerMs = 50_000
/** No task waits longer for its thread, unless it is told to: Spark's `spark.locality.wait`. */
const waitMaxMs = 3000

interface Holding {
  readonly thread: number
  readonly bytes: number
}

export class ValueHolders {
  readonly #waitMs: number | null
  /** By RDD, then by partition. */
  readonly #holders = new Map<number, Map<number, Holding>>()

  /** `waitMs` is how long tasks wait for their thread; null: as long as reading the bytes elsewhere would take. */
  constructor(waitMs: number | null) {
    this.#waitMs = waitMs
  }

  /** The thread holds a partition that is `bytes` long as bytes. */
  add(rddId: number, partition: number, thread: number, bytes: number): void {
    let partitions = this.#holders.get(rddId)
    if (partitions === undefined) {
      partitions = new Map()
      this.#holders.set(rddId, partitions)
    }
    partitions.set(partition, { thread, bytes })
  }

  forgetRdd(rddId: number): boolean {
    return this.#holders.delete(rddId)
  }

  forgetThread(thread: number): void {
    for (const partitions of this.#holders.values()) {
      for (const [partition, holding] of partitions) if (holding.thread === thread) partitions.delete(partition)
    }
  }

  /** Where a task that computes this partition would rather run: in the thread that holds most of what it reads. */
  preference(top: Lineage, partition: number): Preference | null {
    if (this.#holders.size === 0) return null
    const bytesBy = new Map<number, number>()
    this.#walk(top, partition, bytesBy)
    let thread: number | null = null
    let most = -1
    for (const [id, bytes] of bytesBy) {
      if (bytes <= most) continue
      thread = id
      most = bytes
    }
    if (thread === null) return null
    return { thread, waitMs: this.#waitMs ?? Math.min(most / bytesPerMs, waitMaxMs) }
  }

  #walk(node: Lineage, partition: number, bytesBy: Map<number, number>): void {
    const rddId = node.type === 'checkpointed' ? node.rddId : node.id
    const holding = this.#holders.get(rddId)?.get(partition)
    if (holding !== undefined) {
      bytesBy.set(holding.thread, (bytesBy.get(holding.thread) ?? 0) + holding.bytes)
      return
    }
    if (node.type === 'united') {
      for (const ref of node.groups[partition]!) this.#walk(node.parents[ref.parent]!, ref.partition, bytesBy)
    } else if (node.type === 'mapped') {
      for (const parent of parentsOf(node)) this.#walk(parent, partition, bytesBy)
    }
  }
}
