/** The receiving side of an MqttReceiver: from the socket into stored blocks, and acknowledgements back, as far as storage, memory and rate allow. */
import { MillraceError } from '../errors.js'
import { keepFreedMemory } from '../storage/freed-memory.js'
import { Acknowledgements, type PendingBlock } from './acknowledgements.js'
import type { BrokerLimits } from './broker-limits.js'
import type { BrokerAddress } from './broker-url.js'
import type { SessionRequest } from './connect-packet.js'
import { DuplicateWatch, type KnownMessages } from './duplicate-watch.js'
import { InFlightWindow } from './in-flight-window.js'
import { notRead, sessionLost, windowLimited } from './ingest-errors.js'
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
  type Failure,
  MqttConnection,
  type Subscription,
} from './mqtt-connection.js'
import type { ResolvedReceiver } from './mqtt-options.js'
import { holdReasons, type MqttReceiverStatus } from './mqtt-receiver-status.js'
import { PublishTap, type TakenMessages } from './publish-tap.js'
import { RateLimiter } from './rate-limiter.js'
import { BEHIND_MS, ReadGate } from './read-gate.js'
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

const PINGRESP = 0xd0
const STOP_MS = 5000
const ACK_BACKLOG_BYTES = 1024 * 1024
/** A read as large as this ends for want of room, not of messages. */
const LARGE_READ_BYTES = 128 * 1024
/** Receives for one MqttReceiver between `start` and `stop`. */
export class MqttIngest implements ConnectionUser {
  readonly #options: ResolvedReceiver
  readonly #sink: IngestSink
  readonly #connection: MqttConnection
  readonly #filter: RedeliveryFilter
  readonly #known: KnownMessages
  readonly #duplicates: DuplicateWatch
  readonly #acknowledgements: Acknowledgements
  /** Packet ids of QoS 2 that are taken and not released, by the address of the broker whose session they belong to. */
  readonly #openIds = new Map<string, Uint8Array>()
  readonly #window = new InFlightWindow()
  readonly #rate = new RateLimiter(performance.now())
  readonly #gate: ReadGate
  #tap: PublishTap | null = null
  #stream: TapStream | null = null
  #accepted: Accepted | null = null
  /** Where the last connection was accepted. */
  #lastAddress: string | null = null
  #header: BlockHeader | null = null
  #session = EARLIER_SESSION
  #isSubscribed = false
  #hasReportedOutage = false
  #unacknowledged = 0
  #isFlushScheduled = false
  #hasFailed = false
  #isStopping = false
  #drained: (() => void) | null = null
  #heldMs = 0
  #connections = 0
  #sessionsLost = 0
  #messages = 0
  #bytes = 0
  #redelivered = 0
  #repeated = 0

  /** `known` outlives the ingest: what it knows of the session holds over a restart of the receiver. */
  constructor(options: ResolvedReceiver, clientId: string, sink: IngestSink, known: KnownMessages) {
    this.#options = options
    this.#sink = sink
    this.#known = known
    const { filter } = known
    this.#filter = filter
    this.#duplicates = new DuplicateWatch(known, (error) => sink.reportError('Messages may come twice', error))
    this.#acknowledgements = new Acknowledgements(filter, () => sink.confirmed(filter.tailBlocks))
    this.#gate = new ReadGate(options, () => this.#reportBehind())
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
    if (!this.#acknowledgements.isEmpty && !this.#hasFailed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STOP_MS)
        this.#drained = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#gate.connect(null)
    await this.#connection.stop(this.#options.durable ? null : 0)
  }

  get status(): MqttReceiverStatus {
    const tap = this.#tap
    const heldBy = holdReasons(this.#stream?.holds ?? 0)
    const { recognised, unmatched } = this.#filter.metrics
    const repeated = this.#repeated + (tap?.repeated ?? 0)
    return {
      isConnected: this.#accepted !== null,
      broker: this.#accepted?.address.text ?? null,
      protocolVersion: this.#accepted?.version ?? null,
      connections: this.#connections,
      sessionsLost: this.#sessionsLost,
      messages: this.#messages,
      bytes: this.#bytes,
      unacknowledged: this.#unacknowledged,
      receiveMaximum: this.#options.receiveMaximum,
      bufferedBytes: this.#acknowledgements.bufferedBytes,
      maxBufferedBytes: this.#options.maxBufferedBytes,
      isHeld: heldBy.length > 0,
      heldBy,
      heldMs: Math.round(this.#heldMs + (this.#stream?.heldMs ?? 0)),
      redelivered: this.#redelivered + (tap?.redelivered ?? 0),
      repeated: repeated + recognised,
      unmatched,
      duplicatesRemoved: repeated + this.#duplicates.removed,
      duplicatesPossible: this.#duplicates.possible,
      otherSessions: this.#duplicates.otherSessions,
      windowLimit: this.#window.limit,
      windowLimitedMs: Math.round(this.#window.limitedMs),
    }
  }

  // What the connection asks and tells.

  open(version: 4 | 5, address: BrokerAddress, push: (packet: Buffer) => void): FrameReader {
    const tap = new PublishTap({
      version,
      maximumPacketSize: this.#options.maximumPacketSize,
      topicAliasMaximum: version === 5 ? this.#options.topicAliasMaximum : 0,
      headerLength: BLOCK_HEADER_LENGTH,
      openIds: this.#openIdsOf(address),
      onControl: (packet) => {
        push(packet)
        if (packet[0] === PINGRESP) this.#acknowledgements.pong(this.#stream)
      },
    })
    this.#tap = tap
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
    const isOtherBroker = this.#lastAddress !== null && this.#lastAddress !== accepted.address.text
    this.#lastAddress = accepted.address.text
    if (isOtherBroker) this.#isSubscribed = false
    this.#connections = accepted.connection
    this.#accepted = accepted
    this.#stream = stream
    this.#unacknowledged = 0
    this.#window.reset()
    this.#gate.connect(stream)
    this.#acknowledgements.connected()
    this.#filter.connected(accepted.isSessionPresent, isOtherBroker)
    this.#sink.confirmed(this.#filter.tailBlocks)
    this.#duplicates.accepted(accepted, hadSession, isOtherBroker)
    if (!accepted.isSessionPresent) {
      this.#session = newSession()
      this.#isSubscribed = false
      this.#openIdsOf(accepted.address).fill(0)
      if (hadSession && (this.#options.durable || accepted.version === 5)) {
        this.#sessionsLost += 1
        this.#sink.reportError('The broker has lost the session', sessionLost(accepted.address.text))
      }
    }
    this.#header = {
      version: accepted.version,
      isSessionResumed: accepted.isSessionPresent,
      connection: accepted.connection,
      session: this.#session,
    }
    if (this.#isStopping) stream.hold(Hold.STOPPING)
    this.#updateGate()
  }

  subscriptions(accepted: Accepted): readonly Subscription[] {
    if (this.#isSubscribed) return []
    // A session from an earlier run may know other filters, so ours are asked for again, without its retained messages.
    const retainHandling = accepted.isSessionPresent ? 1 : this.#options.retainHandling
    return this.#options.topics.map((filter) => ({ filter, qos: this.#options.qos, retainHandling }))
  }

  ready(_limits: BrokerLimits, warning: MillraceError | null): void {
    this.#isSubscribed = true
    if (warning !== null) this.#sink.reportError('The subscription is granted in part', warning)
    this.#hasReportedOutage = false
  }

  lost(): void {
    this.#accepted = null
    this.#heldMs += this.#stream?.heldMs ?? 0
    this.#stream = null
    this.#redelivered += this.#tap?.redelivered ?? 0
    this.#repeated += this.#tap?.repeated ?? 0
    this.#tap = null
    this.#unacknowledged = 0
    this.#gate.connect(null)
  }

  failed(error: MillraceError, { attempt, acceptedMs, retryInMs }: Failure): void {
    const what =
      acceptedMs !== null
        ? `The connection to the MQTT broker was lost after ${(acceptedMs / 1000).toFixed(1)} s`
        : `${this.#hasReportedOutage ? 'Still not connected' : 'Not connected'} to the MQTT broker: attempt ${attempt} failed`
    this.#hasReportedOutage = acceptedMs === null
    this.#sink.reportError(`${what}, the next one is in ${(retryInMs / 1000).toFixed(1)} s`, error)
  }

  fatal(error: MillraceError): void {
    this.#sink.stop(error.message, error)
  }

  #openIdsOf({ text }: BrokerAddress): Uint8Array {
    let openIds = this.#openIds.get(text)
    if (openIds === undefined) {
      openIds = new Uint8Array(65_536)
      this.#openIds.set(text, openIds)
    }
    return openIds
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
      if (tap.isLimited) this.#gate.holdForRate()
      this.#gate.coalesce(end - start, messages, now, this.#window.limit !== null)
      const isMore = tap.isLimited || end - start >= LARGE_READ_BYTES
      if (taken !== null) this.#window.read(performance.now(), isMore)
    }
    return stopped
  }

  #store(taken: TakenMessages): void {
    const header = this.#header
    if (header === null) throw new MillraceError('INTERNAL', 'MQTT messages came before the connection was accepted.')
    writeBlockHeader(taken.bytes, header)
    const { bytes, removed } = this.#duplicates.compact(taken.bytes, header.version)
    const messages = taken.messages - removed
    const block: PendingBlock = {
      connection: header.connection,
      acks: taken.acks,
      size: bytes.length,
      sequence: this.#filter.stored(bytes, BLOCK_HEADER_LENGTH, header.version, taken.acks.length > 0, taken.openIds),
      isStored: messages === 0,
    }
    this.#duplicates.storing()
    this.#acknowledgements.add(block)
    this.#unacknowledged += block.acks.length / 4
    this.#messages += messages
    this.#bytes += block.size
    this.#updateGate()
    if (block.isStored) {
      this.#scheduleFlush()
      return
    }
    this.#sink.storeBytes({ bytes, records: messages }).then(
      () => {
        block.isStored = true
        this.#scheduleFlush()
      },
      (error: unknown) => {
        this.#known.ids?.forget(bytes)
        this.#storeFailed(block, error)
      },
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
    const { packets, count } = this.#acknowledgements.takeStored(this.#accepted?.connection)
    const stream = this.#stream
    if (stream !== null && count > 0) this.#acknowledge(stream, packets, count)
    this.#updateGate()
    if (this.#acknowledgements.isEmpty) this.#drained?.()
  }

  #acknowledge(stream: TapStream, packets: readonly Buffer[], count: number): void {
    const window = this.#window.acknowledging(this.#unacknowledged, performance.now())
    this.#unacknowledged -= count
    this.#acknowledgements.write(stream, packets)
    if (window !== null)
      this.#sink.reportError(
        'The in-flight window is the limit',
        windowLimited(window, this.#accepted!.version, this.#options.receiveMaximum),
      )
    if (this.#window.limit !== null) stream.release(Hold.COALESCE)
    if (stream.backlog > ACK_BACKLOG_BYTES) {
      stream.hold(Hold.BACKLOG)
      stream.whenWritten(() => stream.release(Hold.BACKLOG))
    }
  }

  /** Answers PUBRELs: PUBCOMP for each. */
  #released(replies: Buffer): void {
    for (let at = 0; at < replies.length; at += 4) this.#filter.released(replies.readUInt16BE(at + 2))
    if (this.#stream !== null) this.#acknowledgements.write(this.#stream, [replies])
  }

  #storeFailed(block: PendingBlock, error: unknown): void {
    this.#filter.failed(block.sequence)
    if (this.#hasFailed) return
    this.#hasFailed = true
    // From this block on nothing is acknowledged: the broker sends it all again, so QoS 2 ids of these blocks are not "taken before".
    // These ids may be of any connection since; an id too many only lets a message count as new.
    for (const id of this.#acknowledgements.openIdsFrom(block))
      for (const openIds of this.#openIds.values()) openIds[id] = 0
    this.#stream?.hold(Hold.STOPPING)
    this.#drained?.()
    this.#sink.restart(
      'A block of MQTT messages could not be stored; they are not acknowledged and will be sent again',
      error,
    )
  }

  #updateGate(): void {
    this.#gate.update(this.#acknowledgements.bufferedBytes, this.#unacknowledged)
  }

  #reportBehind(): void {
    this.#sink.reportError(
      'The MQTT broker is not being read',
      notRead({
        seconds: BEHIND_MS / 1000,
        bufferedBytes: this.#acknowledgements.bufferedBytes,
        maxBufferedBytes: this.#options.maxBufferedBytes,
        unacknowledged: this.#unacknowledged,
      }),
    )
  }
}
