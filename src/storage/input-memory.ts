/** How much received input may wait in memory: at the bound, storing waits, so the source is not read and its broker holds the rest. */

export class InputMemory {
  #limitBytes: number
  #usedBytes = 0
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = []

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Bytes of input kept now. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** True while someone waits for room. */
  get isFull(): boolean {
    return this.#waiting.length > 0
  }

  /** Takes room for a block; a promise when it must wait for it, in order. A block larger than the bound enters when it is alone. */
  reserve(bytes: number): Promise<void> | null {
    if (this.tryReserve(bytes)) return null
    return new Promise((enter) => this.#waiting.push({ bytes, enter }))
  }

  /** Takes room for a block if it is there and nobody waits for it. */
  tryReserve(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes)) return false
    this.#usedBytes += bytes
    return true
  }

  /** Gives room back. */
  release(bytes: number): void {
    this.#usedBytes -= bytes
    for (let next = this.#waiting[0]; next !== undefined && this.#hasRoom(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#usedBytes += next.bytes
      next.enter()
    }
  }

  /** Lets everyone in from now on: sources that are being stopped bring only what they hold already. */
  lift(): void {
    this.#limitBytes = Number.POSITIVE_INFINITY
    this.release(0)
  }

  #hasRoom(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#limitBytes
  }
}

/** About how many bytes records take in memory, judged by a few of them. */
export function estimateBytes(records: readonly unknown[]): number {
  const sample = Math.min(records.length, 8)
  if (sample === 0) return 0
  let bytes = 0
  for (let i = 0; i < sample; i++) bytes += sizeOf(records[Math.floor((i * records.length) / sample)], 3)
  return Math.ceil((bytes / sample) * records.length)
}

function sizeOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return 16 + value.length
  if (typeof value !== 'object' || value === null) return 8
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength
  if (depth === 0) return 64
  if (Array.isArray(value)) return 32 + value.reduce<number>((sum, item) => sum + sizeOf(item, depth - 1), 0)
  return Object.values(value).reduce<number>((sum, field) => sum + 8 + sizeOf(field, depth - 1), 32)
}
