/**
 * Recognises messages that a broker sends again although they are stored, so that each counts once. The DUP flag proves
 * nothing: brokers set it on messages never sent before, and leave it off real repetitions. What does hold:
 *
 *   - Acknowledgements go out in the order of the messages and arrive in that order. So what a broker has no acknowledgement
 *     for is the end of what it sent: the last messages, without a gap.
 *   - On a resumed session it sends those again first, in their order, under their packet ids.
 *
 * The filter therefore keeps the tail: the stored messages whose acknowledgement is not known to have arrived. On a resumed
 * session it looks for the first message in the tail, by packet id and content, and from there on for what follows it in the
 * tail. Everything else is new. Packet ids alone would not do: some brokers have more than 65,535 messages on their way. What is
 * in the tail before the first one repeated has been acknowledged.
 *
 * Packet ids that count up are free for a long time after a message is done. A broker that takes the lowest free one (HiveMQ) uses
 * it again at once, perhaps for a message of the same content; such a broker has to set DUP, or the message is new.
 *
 * At QoS 2 a message stays in the tail until its PUBCOMP has arrived. After a PUBREC the packet id should do, but Mosquitto up to
 * 2.0.11 at least begins such a message anew when the connection is cut twice in short order.
 */

import { PacketIdOrder } from './packet-id-order.js'
import { type PublishFrame, readFrame } from './publish-frame.js'
import { StoredTail, type TailBlock } from './stored-tail.js'
import { TailIndex } from './tail-index.js'

export interface RedeliveryMetrics {
  /** Messages left out because they are stored already. */
  readonly recognised: number
  /**
   * Messages the broker marked as sent before that are not in the tail. Nearly always they were never stored; where a broker
   * went back to an old snapshot of itself, they may be repetitions that only a message id can tell.
   */
  readonly unmatched: number
  /**
   * Messages under packet ids from before those that were stored last: the broker went back to an older state of itself, and
   * may send again what it had its acknowledgement for.
   */
  readonly behind: number
}

/** A block that is being stored, and what of it the broker waits for. */
export interface StoredBlock extends TailBlock {
  /** False when the broker waits for no acknowledgement of its messages. */
  readonly hasAcknowledgements: boolean
  /** The packet ids of its messages of QoS 2, repetitions included. */
  readonly openIds: readonly number[]
}

/** What `compact` did. */
export interface Compacted {
  readonly end: number
  readonly removed: number
  readonly isTailShorter: boolean
}

/** Messages that may come between two repetitions. */
const MAX_STRANGERS = 1000

export class RedeliveryFilter {
  readonly #tail = new StoredTail()
  readonly #ids = new PacketIdOrder()
  #isOtherBroker = false
  /** The messages of the tail while a resumed session may still repeat them; null when nothing more can be repeated. */
  #index: TailIndex | null = null
  /** The last message of the tail that was repeated, -1 before the first. */
  #matched = -1
  /** Messages since then that were none of the tail's. */
  #strangers = 0
  #recognised = 0
  #unmatched = 0

  get metrics(): RedeliveryMetrics {
    return { recognised: this.#recognised, unmatched: this.#unmatched, behind: this.#ids.behind }
  }

  /** How many of the newest stored blocks are in the tail; blocks of repetitions only do not count. */
  get tailBlocks(): number {
    return this.#tail.length
  }

  /** True while incoming messages must go through `compact`: a resumed session may still repeat. */
  get isActive(): boolean {
    return this.#index !== null
  }

  /**
   * Takes a block into the tail, after `compact`; returns its number. It has no frames when all were repetitions. Call it in the order of storing,
   * once for every set of acknowledgements.
   */
  stored(block: StoredBlock): number {
    const isSettled = this.#index === null
    const { sequence, isInTail } = this.#tail.add(block, block.openIds, block.hasAcknowledgements, isSettled)
    if (isInTail) {
      this.#ids.countBehind(block)
      if (isSettled) this.#ids.watch(block)
    }
    return sequence
  }

  /** The broker has released a message of QoS 2: its PUBREL came, and its PUBCOMP goes out now. */
  released(packetId: number): void {
    this.#tail.released(packetId)
  }

  /** The last of the blocks up to number `acknowledged` before which, itself included, all is released; -1 for none. */
  completed(acknowledged: number): number {
    return this.#tail.completed(acknowledged)
  }

  /** The block with that number could not be stored: what it held is new when it comes again. */
  failed(sequence: number): void {
    this.#tail.failed(sequence)
  }

  /** Takes in a block that an earlier run of this receiver stored, as `stored` did then. Before the first connection. */
  recovered(bytes: Buffer, start: number, version: 4 | 5): void {
    const block = { bytes, start, version, memory: null }
    this.#tail.recovered(block)
    this.#ids.watch(block)
  }

  /**
   * The acknowledgements of the blocks of this connection up to number `through` (at most `completed`) are known to have arrived: the
   * broker has answered something that was sent after them.
   */
  confirmed(through: number): void {
    this.#tail.confirmed(through)
  }

  /**
   * A connection was accepted. On a new session nothing is repeated, and the tail is dropped. A broker other than the last may be one of a cluster
   * that shares its sessions, or one that knows a session of ours of its own; there only what it marks as sent before can be a repetition.
   */
  connected(isSessionResumed: boolean, isOtherBroker = false): void {
    this.#isOtherBroker = isOtherBroker
    this.#tail.connected(isSessionResumed)
    this.#ids.connected(isSessionResumed, isOtherBroker)
    this.#matched = -1
    this.#strangers = 0
    const index = new TailIndex(this.#tail.before)
    this.#index = index.length > 0 ? index : null
  }

  /**
   * Leaves out of `bytes` the frames from `start` to `end` that are redeliveries, moving the others together. Returns where the
   * frames kept end, how many were left out, and whether the tail has become shorter. Cheap when `isActive` is false.
   */
  compact(bytes: Buffer, start: number, end: number, version: 4 | 5): Compacted {
    const tailBlocks = this.#tail.before.length
    const left = this.#leaveOut(bytes, start, end, version)
    return { ...left, isTailShorter: this.#tail.before.length < tailBlocks }
  }

  #leaveOut(bytes: Buffer, start: number, end: number, version: 4 | 5): { end: number; removed: number } {
    let kept = start
    let removed = 0
    for (let at = start; at < end; ) {
      if (this.#index === null) {
        if (kept !== at) bytes.copyWithin(kept, at, end)
        return { end: kept + end - at, removed }
      }
      const contents = readFrame(bytes, at, version)
      if (contents.packetId !== 0 && this.#isRedelivery(this.#index, bytes, contents)) {
        removed++
      } else {
        if (kept !== at) bytes.copyWithin(kept, at, contents.end)
        kept += contents.end - at
      }
      at = contents.end
    }
    return { end: kept, removed }
  }

  #isRedelivery(index: TailIndex, bytes: Buffer, contents: PublishFrame): boolean {
    const match = this.#match(index, bytes, contents)
    if (match >= 0) {
      // Another broker may hold less than the one the session was with.
      if (this.#matched < 0 && !this.#isOtherBroker) this.#tail.confirmedBefore(index.runsBefore(match))
      this.#matched = match
      this.#strangers = 0
      this.#recognised++
      if (match === index.length - 1) this.#index = null
      return true
    }
    if (contents.isDup) this.#unmatched++
    // Repetitions come first of all. Once something else came first, or very much came between, the broker has another memory
    // of this session than we do, and leaving anything out could lose it.
    this.#strangers++
    if ((this.#matched < 0 && !contents.isDup) || this.#strangers > MAX_STRANGERS) this.#index = null
    return false
  }

  /**
   * The message of the tail that is repeated, -1 for none. Where the repetition begins, the last of several: to take too little for repeated
   * loses nothing. Then the next nearly always; a later one where a broker leaves some out.
   */
  #match(index: TailIndex, bytes: Buffer, contents: PublishFrame): number {
    if ((this.#ids.isReused || this.#isOtherBroker) && !contents.isDup) return -1
    return this.#matched < 0 ? index.last(bytes, contents) : index.firstAfter(this.#matched, bytes, contents)
  }
}
