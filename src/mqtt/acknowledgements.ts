/** Blocks on their way to storage and the acknowledgements that wait for them: in order, on the connection the messages came by, never twice. */
import type { RedeliveryFilter } from './redelivery-filter.js'
import type { TapStream } from './tap-stream.js'

/** A block on its way to storage. */
export interface PendingBlock {
  readonly connection: number
  /** PUBACK and PUBREC packets, four bytes each. */
  readonly acks: Buffer
  readonly size: number
  /** Its number in the redelivery filter. */
  readonly sequence: number
  isStored: boolean
}

/** The acknowledgements that may go out now. */
export interface DueAcknowledgements {
  readonly packets: readonly Buffer[]
  readonly count: number
}

export class Acknowledgements {
  readonly #filter: RedeliveryFilter
  readonly #onConfirmed: () => void
  readonly #pending: PendingBlock[] = []
  /** The ping behind the acknowledgements that are being confirmed, and how far these go; null when none is on its way. */
  #barrier: { readonly ping: number; readonly through: number } | null = null
  /** The last block whose acknowledgements were written. */
  #written = -1
  #pongs = 0
  /** Bytes of blocks that are not stored, or wait behind one that is not. */
  bufferedBytes = 0

  /** `onConfirmed` is called when the filter's tail has become shorter. */
  constructor(filter: RedeliveryFilter, onConfirmed: () => void) {
    this.#filter = filter
    this.#onConfirmed = onConfirmed
  }

  get isEmpty(): boolean {
    return this.#pending.length === 0
  }

  /** A connection was accepted: what is pending belongs to another one from now on. */
  connected(): void {
    this.#barrier = null
    this.#written = -1
    this.#pongs = 0
  }

  add(block: PendingBlock): void {
    this.#pending.push(block)
    this.bufferedBytes += block.size
  }

  /** Takes the stored blocks at the head of the queue; gives the acknowledgements of those that came by `connection`. */
  takeStored(connection: number | undefined): DueAcknowledgements {
    const packets: Buffer[] = []
    let count = 0
    let blocks = 0
    for (const block of this.#pending) {
      if (!block.isStored) break
      blocks += 1
      this.bufferedBytes -= block.size
      if (block.connection !== connection) continue
      this.#written = block.sequence
      if (block.acks.length === 0) continue
      packets.push(block.acks)
      count += block.acks.length / 4
    }
    this.#pending.splice(0, blocks)
    return { packets, count }
  }

  /** The packet ids of QoS 2 in this block and those behind it, which will not be acknowledged. */
  openIdsFrom(block: PendingBlock): number[] {
    const ids: number[] = []
    for (const { acks } of this.#pending.slice(this.#pending.indexOf(block)))
      for (let at = 0; at < acks.length; at += 4) if (acks[at] === 0x50) ids.push(acks.readUInt16BE(at + 2))
    return ids
  }

  /** Writes acknowledgements, and a ping behind them unless one is on its way or nothing is complete that was not before. */
  write(stream: TapStream, packets: readonly Buffer[]): void {
    const through = this.#filter.completed(this.#written)
    if (this.#barrier === null && through >= 0) this.#barrier = { ping: stream.writeWithPing(packets), through }
    else if (packets.length > 0) stream.writePackets(packets.length === 1 ? packets[0]! : Buffer.concat(packets))
  }

  /** A broker answers in the order it is asked: the PINGRESP to the barrier says that the acknowledgements before it have arrived. */
  pong(stream: TapStream | null): void {
    const barrier = this.#barrier
    if (++this.#pongs < (barrier?.ping ?? Number.POSITIVE_INFINITY) || barrier === null) return
    this.#filter.confirmed(barrier.through)
    this.#barrier = null
    this.#onConfirmed()
    if (stream !== null) this.write(stream, [])
  }
}
