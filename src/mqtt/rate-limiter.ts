/** How many messages may be taken now, so that a rate holds from the first message on. */

const IDLE_CREDIT_MS = 50

/**
 * A token bucket that starts empty. While messages wait for tokens, every moment counts, however late the timer; while none wait, at most
 * 50 ms of tokens gather, so that a pause is not followed by a burst.
 */
export class RateLimiter {
  #tokens = 0
  #filledAt: number
  #isWaiting = false

  constructor(now: number) {
    this.#filledAt = now
  }

  /** Messages that may be taken at `now` under `ratePerSecond` (null: any number). */
  allowance(ratePerSecond: number | null, now: number): number {
    const elapsedMs = now - this.#filledAt
    this.#filledAt = now
    if (ratePerSecond === null) {
      this.#tokens = 0
      return Number.MAX_SAFE_INTEGER
    }
    this.#tokens += (ratePerSecond * elapsedMs) / 1000
    if (!this.#isWaiting) this.#tokens = Math.min(this.#tokens, Math.max(1, (ratePerSecond * IDLE_CREDIT_MS) / 1000))
    return Math.floor(this.#tokens)
  }

  /** Notes that `messages` were taken, and whether more of them wait. */
  took(messages: number, isWaiting: boolean): void {
    this.#tokens = Math.max(0, this.#tokens - messages)
    this.#isWaiting = isWaiting
  }
}
