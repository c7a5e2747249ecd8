/**
 * Bytes in memory that every thread of the process reads: blocks and shuffle output cross between threads by reference, never
 * copied, and outlive the thread that wrote them.
 */

/** A range of shared memory; plain data that `postMessage` hands over as it is. */
export interface SharedBytes {
  readonly memory: SharedArrayBuffer
  readonly offset: number
  readonly length: number
}

/** The bytes. A Buffer, whose text functions read shared memory. Valid as long as nobody has given the memory back. */
export function sharedView({ memory, offset, length }: SharedBytes): Buffer {
  return Buffer.from(memory as unknown as ArrayBuffer, offset, length)
}

/** Memory of these sizes and up is worth using again. */
const pooledMinBytes = 1024
/** What a pool keeps unused at most. */
const keptMaxBytes = 256 << 20

/**
 * The shared memory one thread writes to. What is no longer needed comes back with `give` and is used again: V8 does not count
 * shared memory when it decides to collect garbage, so leaving it to the collector would let hundreds of megabytes pile up.
 */
export class SharedPool {
  /** Unused memory by size, each a power of two. */
  readonly #free = new Map<number, SharedArrayBuffer[]>()
  #freeBytes = 0

  /** The parts, copied one after another into shared memory. */
  write(parts: readonly Uint8Array[]): SharedBytes {
    let length = 0
    for (const part of parts) length += part.byteLength
    const memory = this.#take(length)
    const target = new Uint8Array(memory)
    let offset = 0
    for (const part of parts) {
      target.set(part, offset)
      offset += part.byteLength
    }
    return { memory, offset: 0, length }
  }

  /** Takes memory back; nobody may read it any more. */
  give(memory: SharedArrayBuffer): void {
    const size = memory.byteLength
    if (size < pooledMinBytes || (size & (size - 1)) !== 0 || this.#freeBytes + size > keptMaxBytes) return
    const free = this.#free.get(size)
    if (free === undefined) this.#free.set(size, [memory])
    else free.push(memory)
    this.#freeBytes += size
  }

  #take(length: number): SharedArrayBuffer {
    if (length < pooledMinBytes) return new SharedArrayBuffer(length)
    const size = 2 ** Math.ceil(Math.log2(length))
    const memory = this.#free.get(size)?.pop()
    if (memory === undefined) return new SharedArrayBuffer(size)
    this.#freeBytes -= size
    return memory
  }
}
