/** Watches how many messages wait for our acknowledgement, and says when the broker sends no more until it gets them. */

const PERIOD_MS = 1000
const PINNED_BURSTS = 3

/**
 * A broker sends only so many messages of QoS 1 and 2 before it waits for acknowledgements (Mosquitto 20, EMQX 32, unless told otherwise). It
 * does not say how many, so it is seen: the count of unacknowledged messages stands at the same highest number again and again.
 */
export class InFlightWindow {
  #peak = 0
  #pinned = 0
  #lastReadAt = 0
  #isMore = false
  #periodStart = 0
  #stalledMs = 0
  #hasTold = false
  /** The broker's window as observed: null while it is not seen to be a limit. */
  limit: number | null = null
  /** Milliseconds spent with the window full, waiting for our own storage, since the receiver started. */
  limitedMs = 0

  /** Messages came: nothing is stalled. `isMore` says that others wait to be read, so that the broker is not what ended the read. */
  read(now: number, isMore: boolean): void {
    this.#lastReadAt = now
    this.#isMore = isMore
  }

  /**
   * Acknowledgements are about to be written while `unacknowledged` messages wait. Returns the window, once, when for a second most of the time went
   * by with it full.
   */
  acknowledging(unacknowledged: number, now: number): number | null {
    if (unacknowledged > this.#peak) {
      this.#peak = unacknowledged
      this.#pinned = 0
      this.limit = null
    }
    if (unacknowledged === this.#peak && !this.#isMore) {
      this.#pinned += 1
      if (this.#pinned >= PINNED_BURSTS && this.#peak > 1) this.limit = this.#peak
      const waited = Math.min(now - this.#lastReadAt, now - this.#periodStart)
      this.#stalledMs += waited
      if (this.limit !== null) this.limitedMs += waited
    }
    if (now - this.#periodStart < PERIOD_MS) return null
    const isLimited = this.limit !== null && this.#stalledMs > (now - this.#periodStart) / 2
    // Seldom-pinned peaks are bursts of the publishers; forget them, so that a smaller window can be seen later.
    if (this.limit === null) this.#peak = 0
    this.#pinned = 0
    this.#stalledMs = 0
    this.#periodStart = now
    if (!isLimited || this.#hasTold) return null
    this.#hasTold = true
    return this.limit
  }

  /** A new connection: another broker, or another setting. */
  reset(): void {
    this.#peak = 0
    this.#pinned = 0
    this.limit = null
    this.#hasTold = false
  }
}
