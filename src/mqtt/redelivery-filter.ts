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
 * tail. Everything else is new. Packet ids alone would not do: some brokers have more than 65,535 messages on their way.
 *
 * Packet ids that count up are free for a long time after a message is done. A broker that takes the lowest free one (HiveMQ) uses
 * it again at once, perhaps for a message of the same content; such a broker has to set DUP, or the message is new.
 *
 * At QoS 2 a message stays in the tail until its PUBCOMP has arrived. After a PUBREC the packet id should do, but Mosquitto up to
 * 2.0.11 at least begins such a message anew when the connection is cut twice in short order.
 */

/** A frame of the tail, in the block it was stored in. */
interface TailFrame {
  readonly block: Buffer
  readonly contents: FrameContents
}

interface TailBlock {
  readonly bytes: Buffer
  /** Where frames begin. */
  readonly start: number
  readonly version: 4 | 5
}

/** A block of this connection, in its place in the order of acknowledgements. */
interface CurrentBlock extends TailBlock {
  readonly sequence: number
  /** True when nothing more could be repeated when it was stored. */
  readonly isSettled: boolean
  /** Messages of QoS 2 that the broker has not released yet. */
  open: number
}

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

export class RedeliveryFilter {
  /** Blocks of earlier connections that may still be repeated. */
  #before: TailBlock[] = []
  /** Blocks of this connection whose acknowledgements are not known to have arrived. */
  #current: CurrentBlock[] = []
  /** How many of these, from the first, have no open message. */
  #completed = 0
  /** The block of each packet id whose PUBREL has not come. */
  readonly #open = new Map<number, CurrentBlock>()
  #sequence = 0
  /** The first packet id of the newest block, 0 when there is none. */
  #newestId = 0
  /** The newest block that was stored, whether or not it is in the tail. */
  #newest: TailBlock | null = null
  /** On a resumed session the newest packet id of the last connection, until a later one has come; else 0. */
  #newestBefore = 0
  #behind = 0
  /** True when packet ids are seen not to count up. */
  #reusesIds = false
  #isOtherBroker = false
  /** While a resumed session may still repeat: the tail's frames by packet id, and in order. */
  #frames: TailFrame[] = []
  #byId: Map<number, number[]> | null = null
  /** Index of the last frame matched, -1 before the first. */
  #matched = -1
  /** Messages since then that were none of the tail's. */
  #strangers = 0
  #recognised = 0
  #unmatched = 0

  get metrics(): RedeliveryMetrics {
    return { recognised: this.#recognised, unmatched: this.#unmatched, behind: this.#behind }
  }

  /** How many of the newest stored blocks are in the tail; blocks of repetitions only do not count. */
  get tailBlocks(): number {
    return this.#before.length + this.#current.filter(isKept).length
  }

  /** True while incoming messages must go through `compact`: a resumed session may still repeat. */
  get isActive(): boolean {
    return this.#byId !== null
  }

  /**
   * Takes a block into the tail, after `compact`; returns its number. Its frames lie in `bytes` from `start` on (none, when all
   * were repetitions) and must not change. Call it in the order of storing, once for every set of acknowledgements. `openIds` are
   * the packet ids of its messages of QoS 2, repetitions included.
   */
  stored(
    bytes: Buffer,
    start: number,
    version: 4 | 5,
    hasAcknowledgements = true,
    openIds: readonly number[] = [],
  ): number {
    const sequence = this.#sequence++
    // What needs no acknowledgement is not sent again; it only keeps its place among blocks that are.
    if (hasAcknowledgements || this.#current.length > 0) {
      const block = { bytes, start, version, sequence, isSettled: this.#byId === null, open: openIds.length }
      this.#current.push(block)
      for (const id of openIds) this.#open.set(id, block)
      if (this.#newestBefore !== 0) this.#countBehind(block)
      if (this.#byId === null) this.#watchIds(block)
    }
    return sequence
  }

  /** The broker has released a message of QoS 2: its PUBREL came, and its PUBCOMP goes out now. */
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

  /** The block with that number could not be stored: what it held is new when it comes again. */
  failed(sequence: number): void {
    const block = this.#current.find((one) => one.sequence === sequence)
    this.#current = this.#current.filter((one) => one !== block)
    this.#completed = 0
    this.#before = this.#before.filter((one) => one !== block)
  }

  /** Takes in a block that an earlier run of this receiver stored, as `stored` did then. Before the first connection. */
  recovered(bytes: Buffer, start: number, version: 4 | 5): void {
    const block = { bytes, start, version }
    this.#before.push(block)
    this.#watchIds(block)
  }

  /**
   * The acknowledgements of the blocks of this connection up to number `through` (at most `completed`) are known to have arrived: the
   * broker has answered something that was sent after them.
   */
  confirmed(through: number): void {
    const count = this.#current.findIndex(({ sequence }) => sequence > through)
    const arrived = this.#current.splice(0, count < 0 ? this.#current.length : count)
    this.#completed = Math.max(0, this.#completed - arrived.length)
    // A block stored when nothing more could be repeated: whatever the tail held before it has been acknowledged as well.
    if (arrived.some(({ isSettled }) => isSettled)) this.#before = []
  }

  /**
   * A connection was accepted. On a new session nothing is repeated, and the tail is dropped. A broker other than the last may be one of a cluster
   * that shares its sessions, or one that knows a session of ours of its own; there only what it marks as sent before can be a repetition.
   */
  connected(isSessionResumed: boolean, isOtherBroker = false): void {
    this.#isOtherBroker = isOtherBroker
    this.#before = isSessionResumed ? [...this.#before, ...this.#current.filter(isKept)] : []
    this.#current = []
    this.#completed = 0
    this.#open.clear()
    const countsOn = isSessionResumed && !isOtherBroker && !this.#reusesIds
    this.#newestBefore = countsOn ? lastId(this.#newest) : 0
    if (!isSessionResumed || isOtherBroker) this.#newest = null
    if (!isSessionResumed) {
      this.#newestId = 0
      this.#reusesIds = false
    }
    this.#matched = -1
    this.#byId = null
    this.#strangers = 0
    this.#frames = framesOf(this.#before)
    if (this.#frames.length === 0) return
    this.#byId = new Map()
    for (const [index, { contents }] of this.#frames.entries()) {
      const indexes = this.#byId.get(contents.packetId)
      if (indexes === undefined) this.#byId.set(contents.packetId, [index])
      else indexes.push(index)
    }
  }

  /**
   * Leaves out of `bytes` the frames from `start` to `end` that are redeliveries, moving the others together. Returns where the
   * frames kept end and how many were left out. Cheap when `isActive` is false.
   */
  compact(bytes: Buffer, start: number, end: number, version: 4 | 5): { end: number; removed: number } {
    let kept = start
    let removed = 0
    for (let at = start; at < end; ) {
      if (this.#byId === null) {
        if (kept !== at) bytes.copyWithin(kept, at, end)
        return { end: kept + end - at, removed }
      }
      const contents = readFrame(bytes, at, version)
      if (contents.packetId !== 0 && this.#isRedelivery(bytes, contents)) {
        removed++
      } else {
        if (kept !== at) bytes.copyWithin(kept, at, contents.end)
        kept += contents.end - at
      }
      at = contents.end
    }
    return { end: kept, removed }
  }

  /** Ids that count up: each block begins with a higher one than the block before, or they have begun anew after 65,535. */
  #watchIds({ bytes, start, version }: TailBlock): void {
    if (start >= bytes.length) return
    const { packetId } = readFrame(bytes, start, version)
    if (packetId === 0) return
    this.#newest = { bytes, start, version }
    const ahead = (packetId - this.#newestId + 65_535) % 65_535
    if (this.#newestId !== 0 && (ahead === 0 || ahead > 32_767)) this.#reusesIds = true
    this.#newestId = packetId
  }

  /** Counts messages whose packet ids are not ahead of those of the last connection; ends when one is. */
  #countBehind({ bytes, start, version }: TailBlock): void {
    for (let at = start; at < bytes.length; ) {
      const { packetId, end } = readFrame(bytes, at, version)
      at = end
      if (packetId === 0) continue
      const ahead = (packetId - this.#newestBefore + 65_535) % 65_535
      if (ahead > 0 && ahead <= 32_767) {
        this.#newestBefore = 0
        return
      }
      this.#behind++
      // Ids begin anew here; that they were higher before says nothing of this broker.
      this.#newestId = 0
    }
  }

  #isRedelivery(bytes: Buffer, contents: FrameContents): boolean {
    const isNew = (this.#reusesIds || this.#isOtherBroker) && !contents.isDup
    const index = isNew ? -1 : this.#matched < 0 ? this.#firstMatch(bytes, contents) : this.#nextMatch(bytes, contents)
    if (index >= 0) {
      this.#matched = index
      this.#strangers = 0
      this.#recognised++
      if (index === this.#frames.length - 1) this.#byId = null
      return true
    }
    if (contents.isDup) this.#unmatched++
    // Repetitions come first of all. Once something else came first, or very much came between, the broker has another memory
    // of this session than we do, and leaving anything out could lose it.
    this.#strangers++
    if ((this.#matched < 0 && !contents.isDup) || this.#strangers > MAX_STRANGERS) this.#byId = null
    return false
  }

  /** Where in the tail the repetition begins. Of several places the last: to take too little for repeated loses nothing. */
  #firstMatch(bytes: Buffer, contents: FrameContents): number {
    const indexes = this.#byId!.get(contents.packetId) ?? []
    for (let i = indexes.length - 1; i >= 0; i--) {
      if (isSameMessage(this.#frames[indexes[i]!]!, bytes, contents)) return indexes[i]!
    }
    return -1
  }

  /** The next frame of the tail nearly always; a later one where a broker leaves some out. */
  #nextMatch(bytes: Buffer, contents: FrameContents): number {
    for (const index of this.#byId!.get(contents.packetId) ?? []) {
      if (index > this.#matched && isSameMessage(this.#frames[index]!, bytes, contents)) return index
    }
    return -1
  }
}

/** Messages that may come between two repetitions. */
const MAX_STRANGERS = 1000

/** False for a block of repetitions only, which was not stored again. */
function isKept({ bytes, start }: TailBlock): boolean {
  return bytes.length > start
}

/** The packet id of a block's last message that has one; 0 for none. */
function lastId(block: TailBlock | null): number {
  return block === null ? 0 : (framesOf([block]).at(-1)?.contents.packetId ?? 0)
}

/** The frames of these blocks that have packet ids, in order. */
function framesOf(tail: readonly TailBlock[]): TailFrame[] {
  const frames: TailFrame[] = []
  for (const { bytes, start, version } of tail) {
    for (let at = start; at < bytes.length; ) {
      const contents = readFrame(bytes, at, version)
      if (contents.packetId !== 0) frames.push({ block: bytes, contents })
      at = contents.end
    }
  }
  return frames
}

/** What of a PUBLISH frame stays the same when it is sent again: flags and properties such as the expiry do not. */
interface FrameContents {
  /** 0 at QoS 0. */
  readonly packetId: number
  readonly isDup: boolean
  readonly topicStart: number
  readonly topicEnd: number
  readonly payloadStart: number
  readonly end: number
}

function readFrame(bytes: Buffer, at: number, version: 4 | 5): FrameContents {
  const flags = bytes[at]!
  const body = readLength(bytes, at + 1)
  const end = body.next + body.value
  const topicStart = body.next + 2
  const topicEnd = topicStart + bytes.readUInt16BE(body.next)
  const hasId = (flags & 6) !== 0
  let payloadStart = hasId ? topicEnd + 2 : topicEnd
  if (version === 5) {
    const properties = readLength(bytes, payloadStart)
    payloadStart = properties.next + properties.value
  }
  const packetId = hasId ? bytes.readUInt16BE(topicEnd) : 0
  return { packetId, isDup: (flags & 8) !== 0, topicStart, topicEnd, payloadStart, end }
}

/** MQTT's variable byte integer, and where it ends. */
function readLength(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0
  for (let scale = 1; ; scale *= 0x80) {
    const byte = bytes[at++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, next: at }
  }
}

function isSameMessage({ block, contents: stored }: TailFrame, bytes: Buffer, came: FrameContents): boolean {
  return (
    block.compare(bytes, came.topicStart, came.topicEnd, stored.topicStart, stored.topicEnd) === 0 &&
    block.compare(bytes, came.payloadStart, came.end, stored.payloadStart, stored.end) === 0
  )
}
