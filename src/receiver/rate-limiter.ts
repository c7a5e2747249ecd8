/** A token bucket in records: how many records a receiver may take, from the first one on. */
import type { Clock, Time } from '../time.js'

/** Unused permits are kept for a tenth of a second, so that a source delivering in bursts still reaches its rate. */
const burstMs = 100

export class RateLimiter {
  readonly #clock: Clock
  #ratePerSecond: number | null
  /** When the bucket is empty: later than now while the source is ahead of its rate. */
  #paidUntil: Time

  constructor(clock: Clock, ratePerSecond: number | null) {
    this.#clock = clock
    this.#ratePerSecond = ratePerSecond
    this.#paidUntil = clock.now()
  }

  /** Records per second, or null when unlimited. */
  get ratePerSecond(): number | null {
    return this.#ratePerSecond
  }

  setRate(ratePerSecond: number | null): void {
    this.#ratePerSecond = ratePerSecond
  }

  /** Counts `records` as taken; false when the source is now ahead of its rate and should wait until `readyAt`. */
  take(records: number): boolean {
    if (this.#ratePerSecond === null) return true
    const now = this.#clock.now()
    this.#paidUntil = Math.max(this.#paidUntil, now - burstMs) + (records * 1000) / this.#ratePerSecond
    return this.#paidUntil <= now
  }

  /** When the source may go on; not later than now when it already may. */
  get readyAt(): Time {
    return Math.ceil(this.#paidUntil)
  }
}
