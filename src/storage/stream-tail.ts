/** The newest blocks of a stream: those its source may send again, and those its receiver wants to remember. */
import { blockNumber, type LoggedBlock } from './logged-block.js'

/**
 * A source sends again what it has no acknowledgement for; blocks older than so many records are not kept for comparison. A broker
 * that limits what is in flight holds far less; one that does not (Mosquitto with max_inflight_messages 0, gone on from its
 * files) sends all it has, and keeps that in its memory. The bound is there for a source that never says what it has.
 */
const MAX_UNCONFIRMED_RECORDS = 20_000_000

export class StreamTail {
  readonly #blocks: LoggedBlock[] = []
  #records = 0
  /** The source has its acknowledgements up to this block. */
  #through = -1
  /** The newest blocks with so many records stay, whatever is acknowledged. */
  #rememberRecords = 0

  add(logged: LoggedBlock, rememberRecords: number): void {
    this.#blocks.push(logged)
    this.#records += logged.block.records
    this.#rememberRecords = rememberRecords
    this.#trim()
  }

  acknowledge(through: number): void {
    this.#through = Math.max(this.#through, through)
    this.#trim()
  }

  get oldest(): LoggedBlock | undefined {
    return this.#blocks[0]
  }

  /** The blocks whose acknowledgements are not known to have arrived, oldest first. */
  get unconfirmed(): LoggedBlock[] {
    const blocks = this.#blocks.filter(({ block }) => blockNumber(block) > this.#through)
    let records = 0
    let from = blocks.length
    while (from > 0 && records < MAX_UNCONFIRMED_RECORDS) records += blocks[--from]!.block.records
    return blocks.slice(from)
  }

  /** All blocks that are kept, oldest first. */
  get all(): readonly LoggedBlock[] {
    return this.#blocks
  }

  #trim(): void {
    for (let first = this.#blocks[0]; first !== undefined; first = this.#blocks[0]) {
      const others = this.#records - first.block.records
      const isUnconfirmed = blockNumber(first.block) > this.#through && others <= MAX_UNCONFIRMED_RECORDS
      if (isUnconfirmed || others < this.#rememberRecords) return
      this.#blocks.shift()
      this.#records = others
    }
  }
}
