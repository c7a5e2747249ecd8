/**
 * Where the messages of a tail lie, in their order and by packet id. A broker may have millions on their way, so each costs twelve bytes
 * here and no object; its content stays in its block.
 */
import { type FrameRun, forEachWithId, isSameMessage, type PublishFrame, readFrame } from './publish-frame.js'

export class TailIndex {
  readonly #runs: readonly FrameRun[]
  /** By message: which run it is in, and where it begins there. */
  readonly #run: Uint32Array
  readonly #start: Uint32Array
  /** By message: the last one before it under the same packet id, -1 for none. */
  readonly #older: Int32Array
  /** By packet id: the last message under it, -1 for none. */
  readonly #newest = new Int32Array(0x1_0000).fill(-1)
  /** The first message of QoS 2; the number of messages when there is none. */
  readonly #firstExactlyOnce: number

  /** Messages without a packet id are left out: they are not sent again. */
  constructor(runs: readonly FrameRun[]) {
    let length = 0
    for (const run of runs) forEachWithId(run, () => length++)
    this.#runs = runs
    this.#run = new Uint32Array(length)
    this.#start = new Uint32Array(length)
    this.#older = new Int32Array(length)
    let message = 0
    let firstExactlyOnce = length
    for (const [index, run] of runs.entries()) {
      forEachWithId(run, ({ packetId }, at) => {
        this.#run[message] = index
        this.#start[message] = at
        this.#older[message] = this.#newest[packetId]!
        this.#newest[packetId] = message
        if ((run.bytes[at]! & 4) !== 0) firstExactlyOnce = Math.min(firstExactlyOnce, message)
        message++
      })
    }
    this.#firstExactlyOnce = firstExactlyOnce
  }

  get length(): number {
    return this.#start.length
  }

  /**
   * How many runs, from the first, are acknowledged when the broker repeats this message first of all. One of QoS 2 may be begun anew
   * later than those behind it.
   */
  runsBefore(message: number): number {
    const first = Math.min(message, this.#firstExactlyOnce)
    return first < this.length ? this.#run[first]! : 0
  }

  /** The last message with the packet id, topic and payload of the one that `came`, in `bytes`; -1 for none. */
  last(bytes: Buffer, came: PublishFrame): number {
    let message = this.#newest[came.packetId]!
    while (message >= 0 && !this.#isSame(message, bytes, came)) message = this.#older[message]!
    return message
  }

  /** The first such message after number `after`; -1 for none. Looks at the one that follows before any other. */
  firstAfter(after: number, bytes: Buffer, came: PublishFrame): number {
    if (after + 1 < this.length && this.#isSame(after + 1, bytes, came)) return after + 1
    let first = -1
    for (let message = this.#newest[came.packetId]!; message > after; message = this.#older[message]!)
      if (this.#isSame(message, bytes, came)) first = message
    return first
  }

  #isSame(message: number, bytes: Buffer, came: PublishFrame): boolean {
    const { bytes: stored, version } = this.#runs[this.#run[message]!]!
    return isSameMessage(stored, readFrame(stored, this.#start[message]!, version), bytes, came)
  }
}
