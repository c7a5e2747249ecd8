/**
 * The memory connections are read into. A block keeps the buffer it was read into, and the buffer is read into again once nobody reads the block
 * any more: new memory for each block would cost more than receiving it, for the kernel clears it and V8 collects all garbage every 40 MB of it.
 */

export const READ_BYTES: number = 256 * 1024

const FREE_BYTES_MAX = 64 * 1024 * 1024
const TRIM_MS = 5000

/** A buffer that holds a block, while somebody keeps it. Who never lets go costs only its use again: the collector has it in the end. */
export class LentBuffer {
  readonly #buffers: ReadBuffers
  readonly #buffer: Buffer
  #keepers = 1

  constructor(buffers: ReadBuffers, buffer: Buffer) {
    this.#buffers = buffers
    this.#buffer = buffer
  }

  /** One more reads it. */
  keep(): void {
    this.#keepers++
  }

  /** One of those who keep it, the one it was lent to included, does not read it any more. */
  letGo(): void {
    if (--this.#keepers === 0) this.#buffers.give(this.#buffer)
  }
}

/** Buffers of one receiver, at most 64 MB of them unused, and only while the stream flows: what five seconds did not need goes. */
export class ReadBuffers {
  readonly #free: Buffer[] = []
  /** The fewest that were free since the last look. */
  #leastFree = 0
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  /** Bytes kept for the next reads. */
  get freeBytes(): number {
    return this.#free.length * READ_BYTES
  }

  /** A buffer of `READ_BYTES`, with anything in it. */
  take(): Buffer {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES)
    if (this.#free.length < this.#leastFree) this.#leastFree = this.#free.length
    return buffer
  }

  /** The reader of `buffer` has made a block in it: it comes back when all who keep it have let it go. */
  lend(buffer: Buffer): LentBuffer {
    return new LentBuffer(this, buffer)
  }

  /** Takes a buffer back; nobody may read it any more. */
  give(buffer: Buffer): void {
    if (this.#isClosed || buffer.length !== READ_BYTES || this.freeBytes >= FREE_BYTES_MAX) return
    this.#free.push(buffer)
    this.#timer ??= setInterval(() => this.trim(), TRIM_MS).unref()
  }

  /** Gives up the buffers that were not needed since the last call. */
  trim(): void {
    this.#free.splice(0, this.#leastFree)
    this.#leastFree = this.#free.length
    if (this.#free.length === 0) this.#stopTimer()
  }

  /** Keeps nothing from now on. */
  close(): void {
    this.#isClosed = true
    this.#free.length = 0
    this.#stopTimer()
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}
