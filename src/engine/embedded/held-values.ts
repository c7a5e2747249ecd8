/**
 * The values of kept partitions that one executor thread holds: a task that reads them there need not turn bytes into records.
 * The bytes lie in shared memory as well, so nothing is lost with the thread, and what has no room here is just let go.
 */
import { getHeapStatistics } from 'node:v8'

/** Values take about this many times the room of their bytes. */
const valuesToBytes = 4
/** What they may take of the thread's heap. */
const heapPart = 0.3

interface Held {
  readonly records: readonly unknown[]
  readonly bytes: number
}

export class HeldValues {
  /** By RDD and partition, the one used longest ago first. */
  readonly #held = new Map<string, Held>()
  readonly #limitBytes: number
  #bytes = 0

  /** `storedMaxBytes` is what kept partitions may take as bytes, in this thread. */
  constructor(storedMaxBytes: number) {
    this.#limitBytes = Math.min(storedMaxBytes, heapPart * getHeapStatistics().heap_size_limit)
  }

  get(rddId: number, partition: number): readonly unknown[] | null {
    const key = keyOf(rddId, partition)
    const held = this.#held.get(key)
    if (held === undefined) return null
    this.#held.delete(key)
    this.#held.set(key, held)
    return held.records
  }

  /** Holds the values, if there is room when others are let go; `storedBytes` is how long they are as bytes. */
  put(rddId: number, partition: number, records: readonly unknown[], storedBytes: number): boolean {
    const key = keyOf(rddId, partition)
    this.#remove(key)
    const bytes = storedBytes * valuesToBytes
    if (bytes > this.#limitBytes) return false
    for (const oldest of this.#held.keys()) {
      if (this.#bytes + bytes <= this.#limitBytes) break
      this.#remove(oldest)
    }
    this.#held.set(key, { records, bytes })
    this.#bytes += bytes
    return true
  }

  forget(rddIds: readonly number[]): void {
    for (const rddId of rddIds) {
      const prefix = keyOf(rddId, '')
      for (const key of this.#held.keys()) if (key.startsWith(prefix)) this.#remove(key)
    }
  }

  #remove(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#bytes -= held.bytes
  }
}

function keyOf(rddId: number, partition: number | ''): string {
  return `${rddId}/${partition}`
}
