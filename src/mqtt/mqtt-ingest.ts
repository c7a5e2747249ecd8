/** The receiving side of an MqttReceiver: from the socket into stored blocks, and acknowledgements back, as far as storage, memory and rate allow. */
import { MillraceError } from '../errors.js'
import type { ReceivedBytes } from '../receiver/receiver.js'
import { keepFreedMemory } from '../storage/freed-memory.js'
import { Acknowledgements, type PendingBlock } from './acknowledgements.js'
import { Acknowledger } from './acknowledger.js'
import type { BrokerLimits } from './broker-limits.js'
import { BrokerSession } from './broker-session.js'
import type { BrokerAddress } from './broker-url.js'
import type { SessionRequest } from './connect-packet.js'
import type { Accepted, ConnectionUser, Failure, Subscription } from './connection-user.js'
import { DuplicateWatch, type KnownMessages } from './duplicate-watch.js'
import { InFlightWindow } from './in-flight-window.js'
import { IngestCounters } from './ingest-counters.js'
import { notRead, sessionLost, windowLimited } from './ingest-errors.js'
import { BLOCK_HEADER_LENGTH, writeBlockHeader } from './message-block.js'
import { MqttConnection } from './mqtt-connection.js'
import type { MqttReceiverStatus } from './mqtt-receiver-status.js'
import { PublishTap, type TakenMessages } from './publish-tap.js'
import { RateLimiter } from './rate-limiter.js'
import { type LentBuffer, ReadBuffers } from './read-buffers.js'
import { BEHIND_MS, ReadGate } from './read-gate.js'
import type { RedeliveryFilter } from './redelivery-filter.js'
import type { ResolvedReceiver } from './resolved-options.js'
import { type FrameReader, Hold, type TapStream } from './tap-stream.js'

/** What the ingest does with what it received: the receiver's own calls. */
export interface IngestSink {
  storeBytes(block: ReceivedBytes): Promise<void>
  /** See `ReceiverSink.confirmed`. */
  confirmed(tail: number): void
  ratePerSecond(): number | null
  reportError(message: string, error: unknown): void
  restart(message: string, error: unknown): void
  stop(message: string, error: unknown): void
}

const PINGRESP = 0xd0
const STOP_MS = 5000
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
  readonly #acknowledger: Acknowledger
  readonly #session: BrokerSession
  readonly #counters: IngestCounters
  readonly #buffers = new ReadBuffers()
  readonly #window = new InFlightWindow()
  readonly #rate = new RateLimiter(performance.now())
  readonly #gate: ReadGate
  #tap: PublishTap | null = null
  #stream: TapStream | null = null
  #accepted: Accepted | null = null
  #hasReportedOutage = false
  #isStopping = false

  /** `known` outlives the ingest: what it knows of the session holds over a restart of the receiver. */
  constructor(options: ResolvedReceiver, clientId: string, sink: IngestSink, known: KnownMessages) {
    this.#options = options
    this.#sink = sink
    this.#known = known
    const { filter } = known
    this.#filter = filter
    this.#duplicates = new DuplicateWatch(known, (error) => sink.reportError('Messages may come twice', error))
    this.#acknowledgements = new Acknowledgements(filter, () => sink.confirmed(filter.tailBlocks))
    this.#acknowledger = new Acknowledger(this.#acknowledgements, this.#window, {
      flushed: () => this.#updateGate(),
      windowLimited: (window) => this.#reportWindow(window),
    })
    this.#session = new BrokerSession(options)
    this.#counters = new IngestCounters({
      options,
      filter,
      duplicates: this.#duplicates,
      acknowledgements: this.#acknowledgements,
      window: this.#window,
    })
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
    await this.#acknowledger.drained(STOP_MS)
    this.#gate.connect(null)
    await this.#connection.stop(this.#options.durable ? null : 0)
    this.#buffers.close()
  }

  get status(): MqttReceiverStatus {
    return this.#counters.status({
      accepted: this.#accepted,
      stream: this.#stream,
      tap: this.#tap,
      connections: this.#session.connections,
      unacknowledged: this.#acknowledger.unacknowledged,
    })
  }

  // What the connection asks and tells.

  open(version: 4 | 5, address: BrokerAddress, push: (packet: Buffer) => void): FrameReader {
    const tap = new PublishTap({
      version,
      maximumPacketSize: this.#options.maximumPacketSize,
      topicAliasMaximum: version === 5 ? this.#options.topicAliasMaximum : 0,
      headerLength: BLOCK_HEADER_LENGTH,
      openIds: this.#session.openIdsOf(address),
      onControl: (packet) => {
        push(packet)
        if (packet[0] === PINGRESP) this.#acknowledger.pong()
      },
    })
    this.#tap = tap
    const reader = {
      buffers: this.#buffers,
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

  session(version: 4 | 5): SessionRequest {
    return this.#session.request(version)
  }

  accepted(accepted: Accepted, stream: TapStream): void {
    const { hadSession, isOtherBroker, isLost } = this.#session.accepted(accepted)
    this.#accepted = accepted
    this.#stream = stream
    this.#gate.connect(stream)
    this.#acknowledger.connected(stream, accepted.connection)
    this.#filter.connected(accepted.isSessionPresent, isOtherBroker)
    this.#sink.confirmed(this.#filter.tailBlocks)
    this.#duplicates.accepted(accepted, hadSession, isOtherBroker)
    if (isLost) {
      this.#counters.sessionsLost += 1
      this.#sink.reportError('The broker has lost the session', sessionLost(accepted.address.text))
    }
    if (this.#isStopping) stream.hold(Hold.STOPPING)
    this.#updateGate()
  }

  subscriptions(accepted: Accepted): readonly Subscription[] {
    return this.#session.subscriptions(accepted)
  }

  ready(_limits: BrokerLimits, warning: MillraceError | null): void {
    this.#session.subscribed()
    if (warning !== null) this.#sink.reportError('The subscription is granted in part', warning)
    this.#hasReportedOutage = false
  }

  lost(): boolean {
    const hasBroughtMessages = this.#counters.lost(this.#stream, this.#tap)
    this.#accepted = null
    this.#stream = null
    this.#tap = null
    this.#acknowledger.disconnected()
    this.#gate.connect(null)
    return hasBroughtMessages
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
        this.#store(taken, taken.isInPlace ? this.#buffers.lend(bytes) : null)
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

  /** Stores what was taken; `memory` is the buffer it lies in, null where it has memory of its own. */
  #store(taken: TakenMessages, memory: LentBuffer | null): void {
    const { header } = this.#session
    if (header === null) throw new MillraceError('INTERNAL', 'MQTT messages came before the connection was accepted.')
    writeBlockHeader(taken.bytes, header)
    const { version, connection } = header
    const { acks, openIds } = taken
    const { bytes, removed, isTailShorter } = this.#duplicates.compact(taken.bytes, version)
    if (isTailShorter) this.#sink.confirmed(this.#filter.tailBlocks)
    const messages = taken.messages - removed
    const hasAcknowledgements = acks.length > 0
    const stored = { bytes, start: BLOCK_HEADER_LENGTH, version, memory, hasAcknowledgements, openIds }
    const block: PendingBlock = {
      connection,
      acks,
      size: bytes.length,
      sequence: this.#filter.stored(stored),
      isStored: messages === 0,
    }
    this.#duplicates.storing()
    this.#acknowledger.add(block)
    this.#counters.storing(messages, block.size)
    this.#updateGate()
    if (block.isStored) {
      memory?.letGo()
      this.#acknowledger.flushSoon()
      return
    }
    memory?.keep()
    this.#sink.storeBytes({ bytes, records: messages, ...(memory && { release: once(() => memory.letGo()) }) }).then(
      () => {
        memory?.letGo()
        this.#acknowledger.stored(block)
      },
      (error: unknown) => {
        // The buffer is not let go of: who failed to store it may still read it.
        this.#known.ids?.forget(bytes)
        this.#storeFailed(block, error)
      },
    )
  }

  /** Answers PUBRELs: PUBCOMP for each. */
  #released(replies: Buffer): void {
    for (let at = 0; at < replies.length; at += 4) this.#filter.released(replies.readUInt16BE(at + 2))
    this.#acknowledger.write(replies)
  }

  #storeFailed(block: PendingBlock, error: unknown): void {
    this.#filter.failed(block.sequence)
    if (this.#acknowledger.hasFailed) return
    // From this block on nothing is acknowledged: the broker sends it all again, so QoS 2 ids of these blocks are not "taken before".
    this.#session.forget(this.#acknowledgements.openIdsFrom(block))
    this.#stream?.hold(Hold.STOPPING)
    this.#acknowledger.fail()
    this.#sink.restart(
      'A block of MQTT messages could not be stored; they are not acknowledged and will be sent again',
      error,
    )
  }

  #updateGate(): void {
    this.#gate.update(this.#acknowledgements.bufferedBytes, this.#acknowledger.unacknowledged)
  }

  #reportWindow(window: number): void {
    this.#sink.reportError(
      'The in-flight window is the limit',
      windowLimited(window, this.#accepted!.version, this.#options.receiveMaximum),
    )
  }

  #reportBehind(): void {
    this.#sink.reportError(
      'The MQTT broker is not being read',
      notRead({
        seconds: BEHIND_MS / 1000,
        bufferedBytes: this.#acknowledgements.bufferedBytes,
        maxBufferedBytes: this.#options.maxBufferedBytes,
        unacknowledged: this.#acknowledger.unacknowledged,
      }),
    )
  }
}

/** Calls `release` the first time it is called. */
function once(release: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    release()
  }
}
