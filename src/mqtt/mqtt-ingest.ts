/** The receiving side of an MqttReceiver: from the socket into stored blocks, and acknowledgements back, as far as storage, memory and rate allow. */
import { MillraceError } from '../errors.js'
import { keepFreedMemory } from '../storage/freed-memory.js'
import { InFlightWindow } from './in-flight-window.js'
import {
  BLOCK_HEADER_LENGTH,
  type BlockHeader,
  EARLIER_SESSION,
  newSession,
  writeBlockHeader,
} from './message-block.js'
import {
  type Accepted,
  type ConnectionUser,
  MqttConnection,
  type SessionRequest,
  type Subscription,
} from './mqtt-connection.js'
import type { ResolvedReceiver } from './mqtt-options.js'
import { PublishTap, type TakenMessages } from './publish-tap.js'
import { RateLimiter } from './rate-limiter.js'
import type { RedeliveryFilter } from './redelivery-filter.js'
import { type FrameReader, Hold, type TapStream } from './tap-stream.js'

/** What the ingest does with what it received: the receiver's own calls. */
export interface IngestSink {
  storeBytes(block: { readonly bytes: Uint8Array; readonly records: number }): Promise<void>
  /** See `ReceiverSink.confirmed`. */
  confirmed(tail: number): void
  ratePerSecond(): number | null
  reportError(message: string, error: unknown): void
  restart(message: string, error: unknown): void
  stop(message: string, error: unknown): void
}

/** How an MQTT receiver is doing: counts since it started. */
export interface MqttReceiverStatus {
  readonly isConnected: boolean
  /** The broker's address without user and password; null while not connected. */
  readonly broker: string | null
  readonly protocolVersion: 4 | 5 | null
  readonly connections: number
  /** Connections on which the broker had no session of ours although we had one: it may have dropped messages. */
  readonly sessionsLost: number
  readonly messages: number
  readonly bytes: number
  /** Messages received and not yet acknowledged to the broker. */
  readonly unacknowledged: number
  /** Bytes received and not yet stored; at `maxBufferedBytes` the socket is not read. */
  readonly bufferedBytes: number
  /** True while the socket is not read because memory, acknowledgements or the rate limit say so. */
  readonly isHeld: boolean
  /** Messages the broker marked as sent before. */
  readonly redelivered: number
  /** Messages left out because they had been taken before: sent again by the broker, and known by packet id and content. */
  readonly repeated: number
  /** Messages marked as sent before that nothing here matches; only a broker that went back to an old state repeats any of these. */
  readonly unmatched: number
  /** The broker's in-flight window where it is seen to be the limit, or null. */
  readonly windowLimit: number | null
  readonly windowLimitedMs: number
}

/** A block on its way to storage, and the acknowledgements that wait for it. */
interface PendingBlock {
  readonly connection: number
  readonly acks: Buffer
  readonly size: number
  /** Its number in the redelivery filter. */
  readonly sequence: number
  isStored: boolean
}

/** Above this brokers without a window of their own begin to use packet ids twice. */
const MAX_UNACKNOWLEDGED = 60_000
const SMALL_READ_BYTES = 32 * 1024
const COALESCED_BYTES = 64 * 1024
const RATE_TICK_MS = 10
const MEASURE_MS = 50
const PINGRESP = 0xd0
const STOP_MS = 5000
const ACK_BACKLOG_BYTES = 1024 * 1024

/** Receives for one MqttReceiver between `start` and `stop`. */
export class MqttIngest implements ConnectionUser {
  readonly #options: ResolvedReceiver
  readonly #sink: IngestSink
  readonly #connection: MqttConnection
  readonly #filter: RedeliveryFilter
  /** The ping behind the acknowledgements that are being confirmed, and how far these go; null when none is on its way. */
  #barrier: { readonly ping: number; readonly through: number } | null = null
  /** Acknowledgements written and not behind a ping yet. */
  #acknowledged = -1
  #pongs = 0
  readonly #openIds = new Uint8Array(65_536)
  readonly #pending: PendingBlock[] = []
  readonly #window = new InFlightWindow()
  readonly #rate = new RateLimiter(performance.now())
  #tap: PublishTap | null = null
  #stream: TapStream | null = null
  #accepted: Accepted | null = null
  #header: BlockHeader | null = null
  #session = EARLIER_SESSION
  #isSubscribed = false
  #hasReportedOutage = false
  #bufferedBytes = 0
  #unacknowledged = 0
  #isFlushScheduled = false
  #hasFailed = false
  #isStopping = false
  #drained: (() => void) | null = null
  #rateTimer: NodeJS.Timeout | null = null
  #coalesceTimer: NodeJS.Timeout | null = null
  #measuredFrom = 0
  #measuredMessages = 0
  #measuredBytes = 0
  #messagesPerMs = 0
  #bytesPerMs = 0
  #connections = 0
  #sessionsLost = 0
  #messages = 0
  #bytes = 0
  #redelivered = 0
  #repeated = 0

  /** `filter` outlives the ingest: what it knows of the session holds over a restart of the receiver. */
  constructor(options: ResolvedReceiver, clientId: string, sink: IngestSink, filter: RedeliveryFilter) {
    this.#options = options
    this.#sink = sink
    this.#filter = filter
    const { receiveMaximum, maximumPacketSize, topicAliasMaximum } = options
    this.#connection = new MqttConnection(
      options,
      clientId,
      { receiveMaximum, maximumPacketSize, topicAliasMaximum },
      this,
    )
  }

  start(): void {
    keepFreedMemory()
    this.#connection.start()
  }

  /** Reads nothing more, waits (at most 5 s) until what was read is stored and acknowledged, and disconnects. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#stream?.hold(Hold.STOPPING)
    if (this.#pending.length > 0 && !this.#hasFailed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STOP_MS)
        this.#drained = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    if (this.#rateTimer !== null) clearInterval(this.#rateTimer)
    if (this.#coalesceTimer !== null) clearTimeout(this.#coalesceTimer)
    await this.#connection.stop(this.#options.durable ? null : 0)
  }

  get status(): MqttReceiverStatus {
    const tap = this.#tap
    return {
      isConnected: this.#accepted !== null,
      broker: this.#accepted?.address.text ?? null,
      protocolVersion: this.#accepted?.version ?? null,
      connections: this.#connections,
      sessionsLost: this.#sessionsLost,
      messages: this.#messages,
      bytes: this.#bytes,
      unacknowledged: this.#unacknowledged,
      bufferedBytes: this.#bufferedBytes,
      isHeld: ((this.#stream?.holds ?? 0) & ~Hold.COALESCE) !== 0,
      redelivered: this.#redelivered + (tap?.redelivered ?? 0),
      repeated: this.#repeated + (tap?.repeated ?? 0) + this.#filter.metrics.recognised,
      unmatched: this.#filter.metrics.unmatched,
      windowLimit: this.#window.limit,
      windowLimitedMs: Math.round(this.#window.limitedMs),
    }
  }

  // What the connection asks and tells.

  open(version: 4 | 5, push: (packet: Buffer) => void): FrameReader {
    const tap = new PublishTap({
      version,
      maximumPacketSize: this.#options.maximumPacketSize,
      topicAliasMaximum: version === 5 ? this.#options.topicAliasMaximum : 0,
      headerLength: BLOCK_HEADER_LENGTH,
      openIds: this.#openIds,
      onControl: (packet) => {
        push(packet)
        if (packet[0] === PINGRESP) this.#pong()
      },
    })
    this.#tap = tap
    this.#pongs = 0
    const reader = {
      hasKeptBuffer: false,
      read: (bytes: Buffer, start: number, end: number): number => {
        reader.hasKeptBuffer = false
        return this.#read(tap, bytes, start, end, reader)
      },
      get needed() {
        return tap.needed
      },
    }
    return reader
  }

  /** Without a client id of its own a receiver begins with a clean session, but keeps it over the cuts of its own lifetime. */
  session(version: 4 | 5): SessionRequest {
    const { durable, sessionExpirySeconds } = this.#options
    if (durable) return { clean: false, expirySeconds: sessionExpirySeconds }
    return { clean: version === 4 || this.#connections === 0, expirySeconds: sessionExpirySeconds }
  }

  accepted(accepted: Accepted, stream: TapStream): void {
    const hadSession = this.#connections > 0
    this.#connections = accepted.connection
    this.#accepted = accepted
    this.#stream = stream
    this.#unacknowledged = 0
    this.#window.reset()
    this.#barrier = null
    this.#acknowledged = -1
    this.#filter.connected(accepted.isSessionPresent)
    this.#sink.confirmed(this.#filter.tailBlocks)
    if (!accepted.isSessionPresent) {
      this.#session = newSession()
      this.#isSubscribed = false
      this.#openIds.fill(0)
      if (hadSession && (this.#options.durable || accepted.version === 5)) {
        this.#sessionsLost += 1
        this.#sink.reportError(
          'The broker has lost the session',
          new MillraceError(
            'MQTT_SESSION_LOST',
            `The broker ${accepted.address.text} no longer has the session: messages published while the receiver was away, or not yet acknowledged, may be lost. Brokers keep sessions over a restart only with persistence on (Mosquitto: persistence true), and no longer than sessionExpiryInterval.`,
            { details: { broker: accepted.address.text } },
          ),
        )
      }
    }
    this.#header = {
      version: accepted.version,
      isSessionResumed: accepted.isSessionPresent,
      connection: accepted.connection,
      session: this.#session,
    }
    if (this.#isStopping) stream.hold(Hold.STOPPING)
    if (this.#bufferedBytes >= this.#options.maxBufferedBytes) stream.hold(Hold.MEMORY)
  }

  subscriptions(accepted: Accepted): readonly Subscription[] {
    if (this.#isSubscribed) return []
    // A session from an earlier run may know other filters, so ours are asked for again, without its retained messages.
    const retainHandling = accepted.isSessionPresent ? 1 : this.#options.retainHandling
    return this.#options.topics.map((filter) => ({ filter, qos: this.#options.qos, retainHandling }))
  }

  ready(): void {
    this.#isSubscribed = true
    this.#hasReportedOutage = false
  }

  lost(): void {
    this.#accepted = null
    this.#stream = null
    this.#redelivered += this.#tap?.redelivered ?? 0
    this.#repeated += this.#tap?.repeated ?? 0
    this.#tap = null
    this.#unacknowledged = 0
    if (this.#rateTimer !== null) clearInterval(this.#rateTimer)
    this.#rateTimer = null
    if (this.#coalesceTimer !== null) clearTimeout(this.#coalesceTimer)
    this.#coalesceTimer = null
  }

  failed(error: MillraceError, attempt: number, retryInMs: number): void {
    const what = this.#hasReportedOutage ? 'Still not connected to the MQTT broker' : 'No connection to the MQTT broker'
    this.#hasReportedOutage = true
    this.#sink.reportError(
      `${what}: attempt ${attempt} failed, the next one is in ${(retryInMs / 1000).toFixed(1)} s`,
      error,
    )
  }

  fatal(error: MillraceError): void {
    this.#sink.stop(error.message, error)
  }

  // Messages in.

  #read(tap: PublishTap, bytes: Buffer, start: number, end: number, reader: { hasKeptBuffer: boolean }): number {
    const now = performance.now()
    const allowance = this.#rate.allowance(this.#sink.ratePerSecond(), now)
    let stopped = start
    try {
      stopped = tap.walk(bytes, start, end, allowance)
    } finally {
      this.#rate.took(tap.messages, tap.isLimited)
      const messages = tap.messages
      const taken = tap.take(bytes)
      if (taken !== null) {
        reader.hasKeptBuffer = taken.isInPlace
        this.#store(taken)
      }
      const replies = tap.takeReplies()
      if (replies !== null) this.#released(replies)
      if (tap.isLimited) this.#holdForRate()
      this.#coalesce(end - start, messages, now)
      if (taken !== null) this.#window.read(performance.now())
    }
    return stopped
  }

  #store(taken: TakenMessages): void {
    const header = this.#header
    if (header === null) throw new MillraceError('INTERNAL', 'MQTT messages came before the connection was accepted.')
    let { bytes, messages } = taken
    if (this.#filter.isActive) {
      const { end, removed } = this.#filter.compact(bytes, BLOCK_HEADER_LENGTH, bytes.length, header.version)
      bytes = bytes.subarray(0, end)
      messages -= removed
    }
    const block: PendingBlock = {
      connection: header.connection,
      acks: taken.acks,
      size: bytes.length,
      sequence: this.#filter.stored(bytes, BLOCK_HEADER_LENGTH, header.version, taken.acks.length > 0, taken.openIds),
      isStored: messages === 0,
    }
    this.#pending.push(block)
    this.#bufferedBytes += block.size
    this.#unacknowledged += block.acks.length / 4
    this.#messages += messages
    this.#bytes += block.size
    const stream = this.#stream
    if (stream !== null) {
      if (this.#bufferedBytes >= this.#options.maxBufferedBytes) stream.hold(Hold.MEMORY)
      if (this.#unacknowledged >= MAX_UNACKNOWLEDGED) stream.hold(Hold.UNACKNOWLEDGED)
    }
    if (block.isStored) {
      this.#scheduleFlush()
      return
    }
    writeBlockHeader(bytes, header)
    this.#sink.storeBytes({ bytes, records: messages }).then(
      () => {
        block.isStored = true
        this.#scheduleFlush()
      },
      (error: unknown) => this.#storeFailed(block, error),
    )
  }

  // Acknowledgements out.

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    // Blocks stored by one group commit resolve one after another: acknowledge them in one write.
    queueMicrotask(() => this.#flush())
  }

  /** Acknowledges the blocks at the head of the queue that are stored: in order, only on the connection they came by. */
  #flush(): void {
    this.#isFlushScheduled = false
    if (this.#hasFailed) return
    const connection = this.#accepted?.connection
    const acks: Buffer[] = []
    let count = 0
    let blocks = 0
    for (const block of this.#pending) {
      if (!block.isStored) break
      blocks += 1
      this.#bufferedBytes -= block.size
      if (block.connection !== connection) continue
      this.#acknowledged = block.sequence
      if (block.acks.length === 0) continue
      acks.push(block.acks)
      count += block.acks.length / 4
    }
    this.#pending.splice(0, blocks)
    const stream = this.#stream
    if (stream !== null) {
      if (count > 0) this.#acknowledge(stream, acks, count)
      if (this.#bufferedBytes < this.#options.maxBufferedBytes / 2) stream.release(Hold.MEMORY)
      if (this.#unacknowledged < MAX_UNACKNOWLEDGED / 2) stream.release(Hold.UNACKNOWLEDGED)
    }
    if (this.#pending.length === 0) this.#drained?.()
  }

  #acknowledge(stream: TapStream, acks: readonly Buffer[], count: number): void {
    const window = this.#window.acknowledging(this.#unacknowledged, performance.now())
    this.#unacknowledged -= count
    this.#write(stream, acks)
    if (window !== null) this.#reportWindow(window)
    if (this.#window.limit !== null) stream.release(Hold.COALESCE)
    if (stream.backlog > ACK_BACKLOG_BYTES) {
      stream.hold(Hold.BACKLOG)
      stream.whenWritten(() => stream.release(Hold.BACKLOG))
    }
  }

  /** Answers PUBRELs: PUBCOMP for each. */
  #released(replies: Buffer): void {
    for (let at = 0; at < replies.length; at += 4) this.#filter.released(replies.readUInt16BE(at + 2))
    if (this.#stream !== null) this.#write(this.#stream, [replies])
  }

  /** Writes acknowledgements, and a ping behind them unless one is on its way or nothing is complete that was not before. */
  #write(stream: TapStream, acks: readonly Buffer[]): void {
    const through = this.#filter.completed(this.#acknowledged)
    if (this.#barrier === null && through >= 0) this.#barrier = { ping: stream.writeWithPing(acks), through }
    else if (acks.length > 0) stream.writePackets(acks.length === 1 ? acks[0]! : Buffer.concat(acks))
  }

  /** A broker answers in the order it is asked: the PINGRESP to the barrier says that the acknowledgements before it have arrived. */
  #pong(): void {
    const barrier = this.#barrier
    if (++this.#pongs < (barrier?.ping ?? Number.POSITIVE_INFINITY) || barrier === null) return
    this.#filter.confirmed(barrier.through)
    this.#sink.confirmed(this.#filter.tailBlocks)
    this.#barrier = null
    if (this.#stream !== null) this.#write(this.#stream, [])
  }

  #reportWindow(window: number): void {
    const isOurs = this.#accepted?.version === 5 && window >= this.#options.receiveMaximum
    const advice = isOurs
      ? `Raise the option receiveMaximum (${this.#options.receiveMaximum}) or maxBufferedBytes.`
      : `Raise the broker's limit (Mosquitto: max_inflight_messages, EMQX: mqtt.max_inflight, HiveMQ: the client's receive maximum, VerneMQ: max_inflight_messages)${this.#accepted?.version === 4 ? ', or connect with MQTT 5, where the receiver may ask for more' : ''}.`
    this.#sink.reportError(
      'The in-flight window is the limit',
      new MillraceError(
        'MQTT_WINDOW_LIMITED',
        `The broker sends ${window} messages and then waits for acknowledgements, which wait for storage. ${advice}`,
        {
          details: { window },
        },
      ),
    )
  }

  #storeFailed(block: PendingBlock, error: unknown): void {
    this.#filter.failed(block.sequence)
    if (this.#hasFailed) return
    this.#hasFailed = true
    // From this block on nothing is acknowledged: the broker sends it all again, so QoS 2 ids of these blocks are not "taken before".
    for (const one of this.#pending.slice(this.#pending.indexOf(block))) {
      for (let at = 0; at < one.acks.length; at += 4) {
        if (one.acks[at] === 0x50) this.#openIds[one.acks.readUInt16BE(at + 2)] = 0
      }
    }
    this.#stream?.hold(Hold.STOPPING)
    this.#drained?.()
    this.#sink.restart(
      'A block of MQTT messages could not be stored; they are not acknowledged and will be sent again',
      error,
    )
  }

  // Holding back.

  #holdForRate(): void {
    this.#stream?.hold(Hold.RATE)
    this.#rateTimer ??= setInterval(() => {
      if ((this.#stream?.holds ?? 0) & Hold.RATE) return this.#stream?.release(Hold.RATE)
      if (this.#rateTimer !== null) clearInterval(this.#rateTimer)
      this.#rateTimer = null
    }, RATE_TICK_MS)
  }

  /**
   * After a small read, while many messages come, waits a little for more: a read of a hundred costs hardly more than a read of one. Never
   * so long that the socket's buffer could fill and the broker would have to wait too.
   */
  #coalesce(length: number, messages: number, now: number): void {
    this.#measuredMessages += messages
    this.#measuredBytes += length
    const elapsedMs = now - this.#measuredFrom
    if (elapsedMs >= MEASURE_MS) {
      this.#messagesPerMs = this.#measuredMessages / elapsedMs
      this.#bytesPerMs = this.#measuredBytes / elapsedMs
      this.#measuredFrom = now
      this.#measuredMessages = 0
      this.#measuredBytes = 0
    }
    const stream = this.#stream
    if (stream === null || messages === 0 || length >= SMALL_READ_BYTES || this.#coalesceTimer !== null) return
    if (this.#messagesPerMs < 2 || this.#window.limit !== null) return
    const longestMs = this.#messagesPerMs < 20 ? Math.min(2, this.#options.coalesceMs) : this.#options.coalesceMs
    const waitMs = Math.floor(Math.min(longestMs, COALESCED_BYTES / this.#bytesPerMs))
    if (waitMs < 1) return
    stream.hold(Hold.COALESCE)
    this.#coalesceTimer = setTimeout(() => {
      this.#coalesceTimer = null
      stream.release(Hold.COALESCE)
    }, waitMs)
  }
}
