/** What is known of duplicates on a receiver's connections: which messages were left out, and which may be some all the same. */
import type { MillraceError } from '../errors.js'
import type { Accepted } from './connection-user.js'
import { otherBroker, wentBack } from './ingest-errors.js'
import { BLOCK_HEADER_LENGTH } from './message-block.js'
import type { MessageIds } from './message-ids.js'
import type { RedeliveryFilter } from './redelivery-filter.js'

/** What a receiver knows of the messages it stored; it outlives connections and restarts of the receiver. */
export interface KnownMessages {
  readonly filter: RedeliveryFilter
  /** Null where their user gives messages no ids. */
  readonly ids: MessageIds | null
}

export class DuplicateWatch {
  readonly #known: KnownMessages
  readonly #report: (error: MillraceError) => void
  #broker = ''
  #otherSessions = 0
  /** Possible duplicates before this connection: the first one on it is reported. */
  #possibleBefore = 0
  #hasReported = false

  /** `report` is called once for each connection on which duplicates are possible. */
  constructor(known: KnownMessages, report: (error: MillraceError) => void) {
    this.#known = known
    this.#report = report
  }

  /** Messages left out because they are stored already. */
  get removed(): number {
    const { filter, ids } = this.#known
    return filter.metrics.recognised + (ids?.removed ?? 0)
  }

  /** Messages stored of which nothing here can tell that they are new. */
  get possible(): number {
    const { filter, ids } = this.#known
    const { unmatched, behind } = filter.metrics
    return Math.min(unmatched + behind, ids?.withoutId ?? Number.POSITIVE_INFINITY)
  }

  /** Connections to another broker, or to a session begun anew, than the one before. */
  get otherSessions(): number {
    return this.#otherSessions
  }

  /** A connection was accepted. What another broker sends may have come by the one before; so may what comes on a session begun anew. */
  accepted({ address, isSessionPresent }: Accepted, hadSession: boolean, isOtherBroker: boolean): void {
    this.#broker = address.text
    this.#possibleBefore = this.possible
    this.#hasReported = false
    if (!isOtherBroker && (isSessionPresent || !hadSession)) return
    this.#otherSessions++
    if (isOtherBroker && this.#known.ids === null) this.#reportOnce(otherBroker(address.text))
  }

  /** Leaves out of a block, header included, what is stored already; returns what is left, how many messages went, and whether the filter's tail has become shorter. */
  compact(block: Buffer, version: 4 | 5): { bytes: Buffer; removed: number; isTailShorter: boolean } {
    const { filter, ids } = this.#known
    let bytes = block
    let removed = 0
    const cut = <T extends { readonly end: number; readonly removed: number }>(left: T): T => {
      bytes = bytes.subarray(0, left.end)
      removed += left.removed
      return left
    }
    const isTailShorter =
      filter.isActive && cut(filter.compact(bytes, BLOCK_HEADER_LENGTH, bytes.length, version)).isTailShorter
    if (ids !== null) cut(ids.compact(bytes))
    return { bytes, removed, isTailShorter }
  }

  /** A block is on its way to storage. */
  storing(): void {
    if (this.#known.filter.metrics.behind > 0 && this.possible > this.#possibleBefore)
      this.#reportOnce(wentBack(this.#broker))
  }

  #reportOnce(error: MillraceError): void {
    if (this.#hasReported) return
    this.#hasReported = true
    this.#report(error)
  }
}
