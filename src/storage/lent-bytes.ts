/** Bytes of a block whose memory its owner uses again: given back when the block is dropped and nobody is in the middle of reading it. */
export class LentBytes {
  readonly #release: () => void
  #readers = 0
  #isDropped = false

  /** `release` is called once, or never when a reader does not come to its end. */
  constructor(release: () => void) {
    this.#release = release
  }

  /** The same chunks; until they are read to their end, or given up by `return`, the bytes stay as they are. The records must not refer to them. */
  reading<T>(chunks: Iterable<T>): Iterable<T> {
    this.#readers++
    return this.#read(chunks)
  }

  /** The block is not kept any more: no new reader comes. */
  drop(): void {
    if (this.#isDropped) return
    this.#isDropped = true
    if (this.#readers === 0) this.#release()
  }

  *#read<T>(chunks: Iterable<T>): Iterable<T> {
    try {
      yield* chunks
    } finally {
      this.#readers--
      if (this.#isDropped && this.#readers === 0) this.#release()
    }
  }
}
