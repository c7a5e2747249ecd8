/** Notices that another client fights for the same client id, where the broker does not say so (MQTT 3.1.1, older Mosquitto). */

/** Ends within the first time this often, or within the second that often, one after another, are a fight. */
const QUICK = { withinMs: 5000, times: 3 }
const SLOW = { withinMs: 60_000, times: 5 }

/**
 * A broker that lets another client take over a session closes the old connection in order, and accepts us again at once. So does a broker that is
 * restarted, but not several times in a row.
 */
export class TakeoverWatch {
  #quick = 0
  #slow = 0

  /**
   * A connection or an attempt has ended: `acceptedMs` after the broker accepted it, null if it never did. Returns what happened, in words, when it
   * is a fight, otherwise null.
   */
  ended(acceptedMs: number | null, isEndedByBroker: boolean): string | null {
    const lasted = acceptedMs !== null && isEndedByBroker ? acceptedMs : Number.POSITIVE_INFINITY
    this.#quick = lasted < QUICK.withinMs ? this.#quick + 1 : 0
    this.#slow = lasted < SLOW.withinMs ? this.#slow + 1 : 0
    const limit = this.#quick >= QUICK.times ? QUICK : this.#slow >= SLOW.times ? SLOW : null
    return limit === null
      ? null
      : `closed the connection ${limit.times} times, each time within ${limit.withinMs / 1000} s of accepting it`
  }
}
