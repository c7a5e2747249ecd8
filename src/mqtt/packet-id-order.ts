/** The order of a broker's packet ids: whether it counts them up or takes the lowest free one, and whether it went back to an older state of itself. */
import { forEachWithId, readFrame } from './publish-frame.js'
import type { TailBlock } from './stored-tail.js'

export class PacketIdOrder {
  /** The first packet id of the newest block, 0 when there is none. */
  #newestId = 0
  /** The newest block that was stored, whether or not it is in the tail. */
  #newest: TailBlock | null = null
  /** On a resumed session the newest packet id of the last connection, until a later one has come; else 0. */
  #newestBefore = 0
  /** Messages under packet ids from before those that were stored last. */
  behind = 0
  /** True when packet ids are seen not to count up. */
  isReused = false

  /** A connection was accepted, of the same broker or another. */
  connected(isSessionResumed: boolean, isOtherBroker: boolean): void {
    const countsOn = isSessionResumed && !isOtherBroker && !this.isReused
    this.#newestBefore = countsOn && this.#newest !== null ? lastId(this.#newest) : 0
    if (!isSessionResumed || isOtherBroker) this.#setNewest(null)
    if (isSessionResumed) return
    this.#newestId = 0
    this.isReused = false
  }

  /** Ids that count up: each block begins with a higher one than the block before, or they have begun anew after 65,535. */
  watch(block: TailBlock): void {
    const { bytes, start, version } = block
    if (start >= bytes.length) return
    const { packetId } = readFrame(bytes, start, version)
    if (packetId === 0) return
    this.#setNewest(block)
    const ahead = (packetId - this.#newestId + 65_535) % 65_535
    if (this.#newestId !== 0 && (ahead === 0 || ahead > 32_767)) this.isReused = true
    this.#newestId = packetId
  }

  /** Counts messages whose packet ids are not ahead of those of the last connection; ends when one is. */
  countBehind({ bytes, start, version }: TailBlock): void {
    if (this.#newestBefore === 0) return
    for (let at = start; at < bytes.length; ) {
      const { packetId, end } = readFrame(bytes, at, version)
      at = end
      if (packetId === 0) continue
      const ahead = (packetId - this.#newestBefore + 65_535) % 65_535
      if (ahead > 0 && ahead <= 32_767) {
        this.#newestBefore = 0
        return
      }
      this.behind++
      // Ids begin anew here; that they were higher before says nothing of this broker.
      this.#newestId = 0
    }
  }

  #setNewest(block: TailBlock | null): void {
    block?.memory?.keep()
    this.#newest?.memory?.letGo()
    this.#newest = block
  }
}

/** The packet id of a block's last message that has one; 0 for none. */
function lastId(block: TailBlock): number {
  let last = 0
  forEachWithId(block, ({ packetId }) => (last = packetId))
  return last
}
