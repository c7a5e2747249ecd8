/** Counts what one task reads, for its metrics. */

export class InputCount {
  records: number = 0
  /** Of what was read as bytes; values count none. */
  bytes: number = 0

  /** The same chunks, counted as they are read. */
  chunks(chunks: Iterable<readonly unknown[]>): Iterable<readonly unknown[]> {
    return this.#counted(chunks)
  }

  *#counted(chunks: Iterable<readonly unknown[]>): Generator<readonly unknown[]> {
    for (const chunk of chunks) {
      this.records += chunk.length
      yield chunk
    }
  }
}
