/** Topics as strings, made once: most messages come from a topic seen before, and an equal string that is the same string is a fast key. */

import { utf8Text } from './utf8-text.js'

const SLOTS = 8192

/** Turns topic bytes into strings and remembers the last one of each slot; its size is bounded by the number of slots. */
export class TopicCache {
  readonly #texts: (string | undefined)[] = new Array<string | undefined>(SLOTS)
  readonly #bytes: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(SLOTS)

  /** The text of bytes[start,end). */
  text(bytes: Buffer, start: number, end: number): string {
    let hash = 0x811c9dc5
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.#bytes[slot]
    if (known !== undefined && known.length === end - start) {
      let i = 0
      while (i < known.length && known[i] === bytes[start + i]) i += 1
      if (i === known.length) return this.#texts[slot]!
    }
    const text = utf8Text(bytes, start, end)
    if (end - start <= 512) {
      this.#bytes[slot] = Uint8Array.prototype.slice.call(bytes, start, end)
      this.#texts[slot] = text
    }
    return text
  }
}
