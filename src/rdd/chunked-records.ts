/** Records that come in arrays. An iterator function of the library returns them so, and the task takes the arrays as they are. */

export class ChunkedRecords<T> implements Iterable<T> {
  readonly chunks: Iterable<readonly T[]>

  constructor(chunks: Iterable<readonly T[]>) {
    this.chunks = chunks
  }

  *[Symbol.iterator](): Generator<T, void> {
    for (const chunk of this.chunks) yield* chunk
  }
}
