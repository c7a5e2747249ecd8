/**
 * Chunks of saved state that are encoded when they are written, not when they are read: a batch that saves its state waits for what
 * changed to be found, and the encoding, which takes longer, goes on beside the next batches. Where they leave their thread they are
 * encoded on the way.
 */
import type { EncodedChunk } from './partition-file.js'
import { storableClass } from './record-format.js'

/** What tasks give of a layer. */
export type LayerChunk = EncodedChunk | DeferredChunks

export class DeferredChunks {
  readonly #encode: () => Iterable<EncodedChunk>

  /** `encode` is called once at most, and what it reads must not change until then. */
  constructor(encode: () => Iterable<EncodedChunk>) {
    this.#encode = encode
  }

  encoded(): Iterable<EncodedChunk> {
    return this.#encode()
  }
}

storableClass(
  'DeferredChunks',
  DeferredChunks,
  (chunks): EncodedChunk[] => [...chunks.encoded()],
  (encoded) => new DeferredChunks(() => encoded),
)

/** The chunks, each encoded when it is asked for. Throws `NOT_SERIALIZABLE`. */
export function* allEncoded(chunks: Iterable<LayerChunk>): Generator<EncodedChunk> {
  for (const chunk of chunks) {
    if (chunk instanceof DeferredChunks) yield* chunk.encoded()
    else yield chunk
  }
}
