/** Opens and closes the reading of a connection: for memory, for the rate limit, and to read more at a time. */
import { ReadCoalescer } from './read-coalescer.js'
import { Hold, type TapStream } from './tap-stream.js'

/** Above this brokers without a window of their own begin to use packet ids twice. */
const MAX_UNACKNOWLEDGED = 60_000
const RATE_TICK_MS = 10
/** Holds that wait for storage. */
const BEHIND = Hold.MEMORY | Hold.UNACKNOWLEDGED
/** How long storage may be behind until it is said. */
export const BEHIND_MS = 5000

export class ReadGate {
  readonly #maxBufferedBytes: number
  readonly #coalesceMs: number
  #coalescer: ReadCoalescer
  readonly #onBehind: () => void
  #stream: TapStream | null = null
  #rateTimer: NodeJS.Timeout | null = null
  #coalesceTimer: NodeJS.Timeout | null = null
  #behindTimer: NodeJS.Timeout | null = null

  /** `onBehind` is called when storage has been behind for five seconds, once until it has caught up. */
  constructor(options: { maxBufferedBytes: number; coalesceMs: number }, onBehind: () => void) {
    this.#maxBufferedBytes = options.maxBufferedBytes
    this.#coalesceMs = options.coalesceMs
    this.#coalescer = new ReadCoalescer(options.coalesceMs, false)
    this.#onBehind = onBehind
  }

  /** The connection to open and close from now on, null for none. */
  connect(stream: TapStream | null): void {
    this.#stream = stream
    this.#coalescer = new ReadCoalescer(this.#coalesceMs, stream?.isTcp ?? false)
    if (this.#rateTimer !== null) clearInterval(this.#rateTimer)
    if (this.#coalesceTimer !== null) clearTimeout(this.#coalesceTimer)
    if (this.#behindTimer !== null) clearTimeout(this.#behindTimer)
    this.#rateTimer = null
    this.#coalesceTimer = null
    this.#behindTimer = null
  }

  /** The rate allows no more now. */
  holdForRate(): void {
    this.#stream?.hold(Hold.RATE)
    this.#rateTimer ??= setInterval(() => {
      if ((this.#stream?.holds ?? 0) & Hold.RATE) return this.#stream?.release(Hold.RATE)
      if (this.#rateTimer !== null) clearInterval(this.#rateTimer)
      this.#rateTimer = null
    }, RATE_TICK_MS)
  }

  /** A read of `bytes` with `messages` in it is done: the next may wait a little. Not while the broker waits for us. */
  coalesce(bytes: number, messages: number, now: number, isBrokerWaiting: boolean): void {
    const pauseMs = this.#coalescer.pause(bytes, messages, now)
    const stream = this.#stream
    if (stream === null || pauseMs < 1 || this.#coalesceTimer !== null || isBrokerWaiting) return
    stream.hold(Hold.COALESCE)
    this.#coalesceTimer = setTimeout(() => {
      this.#coalesceTimer = null
      stream.release(Hold.COALESCE)
    }, pauseMs)
  }

  /** Closes when as much as may be waits to be stored or acknowledged; opens at half of it. */
  update(bufferedBytes: number, unacknowledged: number): void {
    const stream = this.#stream
    if (stream === null) return
    if (bufferedBytes >= this.#maxBufferedBytes) stream.hold(Hold.MEMORY)
    else if (bufferedBytes < this.#maxBufferedBytes / 2) stream.release(Hold.MEMORY)
    if (unacknowledged >= MAX_UNACKNOWLEDGED) stream.hold(Hold.UNACKNOWLEDGED)
    else if (unacknowledged < MAX_UNACKNOWLEDGED / 2) stream.release(Hold.UNACKNOWLEDGED)
    if ((stream.holds & BEHIND) !== 0) this.#behindTimer ??= setTimeout(this.#onBehind, BEHIND_MS).unref()
    else if (this.#behindTimer !== null) {
      clearTimeout(this.#behindTimer)
      this.#behindTimer = null
    }
  }
}
