/** The tail: blocks that are stored and whose acknowledgement is not known to have arrived, so that a broker may send them again. */
import type { FrameRun } from './publish-frame.js'
import type { LentBuffer } from './read-buffers.js'

/** A block as it was stored; its bytes must not change while it is in the tail. */
export interface TailBlock extends FrameRun {
  /** The buffer it lies in, kept while the block is needed; null where the memory is the block's own. */
  readonly memory: LentBuffer | null
}

/** A block of this connection, in its place in the order of acknowledgements. */
interface CurrentBlock extends TailBlock {
  readonly sequence: number
  /** True when nothing more could be repeated when it was stored. */
  readonly isSettled: boolean
  /** Messages of QoS 2 that the broker has not released yet. */
  open: number
}

export class StoredTail {
  /** Blocks of earlier connections that may still be repeated. */
  #before: TailBlock[] = []
  /** Blocks of this connection whose acknowledgements are not known to have arrived. */
  #current: CurrentBlock[] = []
  /** How many of these, from the first, have no open message. */
  #completed = 0
  /** The block of each packet id whose PUBREL has not come. */
  readonly #open = new Map<number, CurrentBlock>()
  #sequence = 0

  /** How many of the newest stored blocks are in the tail; blocks of repetitions only do not count. */
  get length(): number {
    return this.#before.length + this.#current.filter(isKept).length
  }

  /** Blocks of earlier connections, oldest first. */
  get before(): readonly TailBlock[] {
    return this.#before
  }

  /** Numbers a block. It is in the tail when it, or one before it that is there, waits for acknowledgement. */
  add(
    block: TailBlock,
    openIds: readonly number[],
    hasAcknowledgements: boolean,
    isSettled: boolean,
  ): { readonly sequence: number; readonly isInTail: boolean } {
    const sequence = this.#sequence++
    // What needs no acknowledgement is not sent again; it only keeps its place among blocks that are.
    const isInTail = hasAcknowledgements || this.#current.length > 0
    if (isInTail) {
      const { bytes, start, version, memory } = block
      const current = { bytes, start, version, memory, sequence, isSettled, open: openIds.length }
      memory?.keep()
      this.#current.push(current)
      for (const id of openIds) this.#open.set(id, current)
    }
    return { sequence, isInTail }
  }

  /** Takes in a block that an earlier run of the receiver stored. */
  recovered(block: TailBlock): void {
    this.#before.push(block)
  }

  /** The broker has released a message of QoS 2. */
  released(packetId: number): void {
    const block = this.#open.get(packetId)
    if (block === undefined) return
    this.#open.delete(packetId)
    block.open--
  }

  /** The last of the blocks up to number `acknowledged` before which, itself included, all is released; -1 for none. */
  completed(acknowledged: number): number {
    for (;;) {
      const next = this.#current[this.#completed]
      if (next === undefined || next.open > 0 || next.sequence > acknowledged) break
      this.#completed++
    }
    return this.#completed === 0 ? -1 : this.#current[this.#completed - 1]!.sequence
  }

  /** The block with that number could not be stored. */
  failed(sequence: number): void {
    const block = this.#current.find((one) => one.sequence === sequence)
    this.#current = this.#current.filter((one) => one !== block)
    this.#completed = 0
    this.#before = this.#before.filter((one) => one !== block)
  }

  /** Blocks of this connection up to number `through` are known to be acknowledged. */
  confirmed(through: number): void {
    const count = this.#current.findIndex(({ sequence }) => sequence > through)
    const arrived = this.#current.splice(0, count < 0 ? this.#current.length : count)
    this.#completed = Math.max(0, this.#completed - arrived.length)
    for (const { memory } of arrived) memory?.letGo()
    // A block stored when nothing more could be repeated: whatever the tail held before it has been acknowledged as well.
    if (arrived.some(({ isSettled }) => isSettled)) this.confirmedBefore(this.#before.length)
  }

  /** The first `count` blocks of earlier connections are known to be acknowledged. */
  confirmedBefore(count: number): void {
    for (const { memory } of this.#before.slice(0, count)) memory?.letGo()
    // An array of its own: who looks for repetitions reads the one there was.
    this.#before = this.#before.slice(count)
  }

  /** A connection was accepted: on a resumed session all there is may be repeated, on a new one nothing. */
  connected(isSessionResumed: boolean): void {
    if (!isSessionResumed) this.confirmedBefore(this.#before.length)
    for (const block of this.#current) {
      if (isSessionResumed && isKept(block)) this.#before.push(block)
      else block.memory?.letGo()
    }
    this.#current = []
    this.#completed = 0
    this.#open.clear()
  }
}

/** False for a block of repetitions only, which was not stored again. */
function isKept({ bytes, start }: TailBlock): boolean {
  return bytes.length > start
}
