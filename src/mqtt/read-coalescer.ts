/** Decides when a read waits a little for more: a read of a hundred messages costs hardly more than a read of one. */

const SMALL_READ_BYTES = 32 * 1024
const COALESCED_BYTES = 64 * 1024
const MEASURE_MS = 50
/** Below this many messages a millisecond waiting saves nothing worth having. */
const BUSY = 2
/** Up to this many, a short pause does. */
const VERY_BUSY = 20
const SHORT_MS = 2

/** Measures what comes, and after a small read while much comes says how long to leave the socket alone. */
export class ReadCoalescer {
  readonly #longestMs: number
  #measuredFrom = 0
  #messages = 0
  #bytes = 0
  #messagesPerMs = 0
  #bytesPerMs = 0

  /** `longestMs` is the longest pause; 0 for none. */
  constructor(longestMs: number) {
    this.#longestMs = longestMs
  }

  /**
   * Milliseconds to wait after a read of `bytes` with `messages` in it, 0 for not at all. Never so long that the socket's buffer could fill
   * and the broker would have to wait too.
   */
  pause(bytes: number, messages: number, now: number): number {
    this.#messages += messages
    this.#bytes += bytes
    const elapsedMs = now - this.#measuredFrom
    if (elapsedMs >= MEASURE_MS) {
      this.#messagesPerMs = this.#messages / elapsedMs
      this.#bytesPerMs = this.#bytes / elapsedMs
      this.#measuredFrom = now
      this.#messages = 0
      this.#bytes = 0
    }
    if (messages === 0 || bytes >= SMALL_READ_BYTES || this.#messagesPerMs < BUSY) return 0
    const longestMs = this.#messagesPerMs < VERY_BUSY ? Math.min(SHORT_MS, this.#longestMs) : this.#longestMs
    return Math.floor(Math.min(longestMs, COALESCED_BYTES / this.#bytesPerMs))
  }
}
