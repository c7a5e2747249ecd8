/** Acknowledges blocks once they are stored: those stored together in one write, on the connection they came by, and no faster than it takes them. */
import { waitAtMost } from '../time.js'
import type { Acknowledgements, PendingBlock } from './acknowledgements.js'
import type { InFlightWindow } from './in-flight-window.js'
import { Hold, type TapStream } from './tap-stream.js'

const BACKLOG_BYTES = 1024 * 1024

/** What the ingest does when acknowledgements go out. */
export interface AcknowledgerEvents {
  /** Blocks were taken from the queue. */
  flushed(): void
  /** The broker's window of this many messages is what limits the receiver. */
  windowLimited(window: number): void
}

export class Acknowledger {
  readonly #queue: Acknowledgements
  readonly #window: InFlightWindow
  readonly #events: AcknowledgerEvents
  #stream: TapStream | null = null
  #connection: number | undefined
  #isFlushScheduled = false
  #drained: (() => void) | null = null
  /** True once nothing is acknowledged any more. */
  hasFailed = false
  /** Messages that came by the connection and wait for their acknowledgement. */
  unacknowledged = 0

  constructor(queue: Acknowledgements, window: InFlightWindow, events: AcknowledgerEvents) {
    this.#queue = queue
    this.#window = window
    this.#events = events
  }

  connected(stream: TapStream, connection: number): void {
    this.#stream = stream
    this.#connection = connection
    this.unacknowledged = 0
    this.#window.reset()
    this.#queue.connected()
  }

  disconnected(): void {
    this.#stream = null
    this.#connection = undefined
    this.unacknowledged = 0
  }

  add(block: PendingBlock): void {
    this.#queue.add(block)
    this.unacknowledged += block.acks.length / 4
  }

  stored(block: PendingBlock): void {
    block.isStored = true
    this.flushSoon()
  }

  /** Blocks stored by one group commit resolve one after another: they are acknowledged in one write. */
  flushSoon(): void {
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    queueMicrotask(() => this.#flush())
  }

  /** Writes answers that wait for no storage. */
  write(packets: Buffer): void {
    if (this.#stream !== null) this.#queue.write(this.#stream, [packets])
  }

  /** The broker has answered a ping. */
  pong(): void {
    this.#queue.pong(this.#stream)
  }

  /** From now on nothing is acknowledged. */
  fail(): void {
    this.hasFailed = true
    this.#drained?.()
  }

  /** Resolves when nothing waits to be stored any more, or never will be acknowledged; at the latest after `ms` milliseconds. */
  async drained(ms: number): Promise<void> {
    if (this.#queue.isEmpty || this.hasFailed) return
    await waitAtMost(ms, new Promise<void>((resolve) => (this.#drained = resolve)))
  }

  #flush(): void {
    this.#isFlushScheduled = false
    if (this.hasFailed) return
    const { packets, count } = this.#queue.takeStored(this.#connection)
    if (this.#stream !== null && count > 0) this.#acknowledge(this.#stream, packets, count)
    this.#events.flushed()
    if (this.#queue.isEmpty) this.#drained?.()
  }

  #acknowledge(stream: TapStream, packets: readonly Buffer[], count: number): void {
    const window = this.#window.acknowledging(this.unacknowledged, performance.now())
    this.unacknowledged -= count
    this.#queue.write(stream, packets)
    if (window !== null) this.#events.windowLimited(window)
    if (this.#window.limit !== null) stream.release(Hold.COALESCE)
    if (stream.backlog > BACKLOG_BYTES) {
      stream.hold(Hold.BACKLOG)
      stream.whenWritten(() => stream.release(Hold.BACKLOG))
    }
  }
}
