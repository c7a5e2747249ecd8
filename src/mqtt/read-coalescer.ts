/** Decides when a read waits a little for more: a read of a hundred messages costs hardly more than a read of one. */

const SMALL_READ_BYTES = 32 * 1024
/** What may gather in a pause over plain TCP, where one read takes all of it. */
const TCP_BYTES = 256 * 1024
/** The same over TLS and WebSockets: what they read may come in many small pieces, so a pause that fills the socket would be followed by another. */
const LAYERED_BYTES = 64 * 1024
const MEASURE_MS = 50
/** Below this many messages a millisecond waiting saves nothing worth having. */
const BUSY = 2
/** Up to this many, a short pause does. */
const VERY_BUSY = 20
const SHORT_MS = 2

/** Measures what comes, and after a small read while much comes says how long to leave the socket alone. */
export class ReadCoalescer {
  readonly #longestMs: number
  readonly #gatheredBytes: number
  #measuredFrom = 0
  #messages = 0
  #bytes = 0
  #messagesPerMs = 0
  #bytesPerMs = 0

  /** `longestMs` is the longest pause; 0 for none. `isTcp`: there is no other layer between the socket and the frames. */
  constructor(longestMs: number, isTcp: boolean) {
    this.#longestMs = longestMs
    this.#gatheredBytes = isTcp ? TCP_BYTES : LAYERED_BYTES
  }

  /**
   * Milliseconds to wait after a read of `bytes` with `messages` in it, 0 for not at all. Where much comes over plain TCP the socket may fill
   * meanwhile: the broker's kernel then gathers what the broker writes, which costs the broker a quarter less than passing on each message.
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
    return Math.floor(Math.min(longestMs, this.#gatheredBytes / this.#bytesPerMs))
  }
}
