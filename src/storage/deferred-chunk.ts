/**
 * A chunk of saved state that is encoded when it is written, not when it is read: a batch that saves its state waits for what changed
 * to be found, and the encoding, which takes longer, goes on beside the next batches. One that leaves its thread is encoded on the way.
 */
import type { EncodedChunk } from './partition-file.js'
import { storableClass } from './record-format.js'

/** A chunk of a layer as tasks give it. */
export type LayerChunk = EncodedChunk | DeferredChunk

export class DeferredChunk {
  readonly #encode: () => EncodedChunk

  /** `encode` is called once at most, and what it reads must not change until then. */
  constructor(encode: () => EncodedChunk) {
    this.#encode = encode
  }

  encoded(): EncodedChunk {
    return this.#encode()
  }
}

storableClass(
  'DeferredChunk',
  DeferredChunk,
  (chunk): EncodedChunk => chunk.encoded(),
  (encoded) => new DeferredChunk(() => encoded),
)

/** The chunks, each encoded when it is asked for. Throws `NOT_SERIALIZABLE`. */
export function* allEncoded(chunks: Iterable<LayerChunk>): Generator<EncodedChunk> {
  for (const chunk of chunks) yield chunk instanceof DeferredChunk ? chunk.encoded() : chunk
}
