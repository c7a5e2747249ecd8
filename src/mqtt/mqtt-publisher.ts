/** Publishes messages over one connection that is kept: a bounded number in flight, sent again after a cut, done when acknowledged. */
import { randomBytes } from 'node:crypto'
import { MillraceError } from '../errors.js'
import { Log } from '../log.js'
import { AckReader } from './ack-reader.js'
import { type BrokerLimits, NO_LIMITS } from './broker-limits.js'
import type { BrokerAddress } from './broker-url.js'
import type { SessionRequest } from './connect-packet.js'
import type { Accepted, ConnectionUser, Failure, Subscription } from './connection-user.js'
import { MqttConnection } from './mqtt-connection.js'
import { encodePublish, type OutgoingMessage } from './publish-encoder.js'
import { reasonText } from './reason-codes.js'
import type { ResolvedConnection } from './resolved-options.js'
import type { FrameReader, TapStream } from './tap-stream.js'

/** A call of `publishAll` that is not done. */
interface Call {
  waiting: number
  isComplete: boolean
  failure: unknown
  settle: () => void
}

/** A message of QoS 1 or 2 the broker has not finished with. */
interface InFlight {
  readonly call: Call
  readonly message: OutgoingMessage
  frame: Buffer
  isReleased: boolean
}

/** The flag of a PUBLISH that may have been sent before. */
const DUP = 0x08
const BACKLOG_BYTES = 1024 * 1024
const IDLE_MS = 10_000
const SESSION_SECONDS = 300

/** One publisher serves every task of its process that publishes to the same place. It connects at the first message and leaves after ten idle seconds. */
export class MqttPublisher implements ConnectionUser {
  readonly #options: ResolvedConnection
  readonly #maxInFlight: number
  readonly #log = Log.fromEnvironment()
  /** By packet id, in the order sent. */
  readonly #inFlight = new Map<number, InFlight>()
  readonly #calls = new Set<Call>()
  #connection: MqttConnection | null = null
  #stream: TapStream | null = null
  #version: 4 | 5 = 5
  #limits: BrokerLimits = NO_LIMITS
  #isReady = false
  /** Where the last connection of this client id was accepted. */
  #lastAddress: string | null = null
  /** True when the broker of this connection has answered a message for good. */
  #hasAnswered = false
  #nextId = 1
  #waiters: (() => void)[] = []
  #batch: Buffer[] = []
  #isFlushScheduled = false
  #idle: NodeJS.Timeout | null = null

  constructor(options: ResolvedConnection, maxInFlight: number) {
    this.#options = options
    this.#maxInFlight = maxInFlight
  }

  /** Publishes the messages in order; resolves when the broker has acknowledged each (QoS 0: when they are written). Rejects with `MQTT_PUBLISH_FAILED` at the first it refuses. */
  async publishAll(messages: Iterable<OutgoingMessage>): Promise<void> {
    let settle = (): void => {}
    const settled = new Promise<void>((resolve) => {
      settle = resolve
    })
    const call: Call = { waiting: 0, isComplete: false, failure: null, settle }
    this.#begin(call)
    try {
      for (const message of messages) {
        if (!this.#hasRoom(message.qos)) {
          this.#flush()
          while (!this.#hasRoom(message.qos) && call.failure === null) await this.#change()
        }
        if (call.failure !== null) break
        this.#send(message, call)
      }
      this.#flush()
      call.isComplete = true
      if (call.waiting > 0 && call.failure === null) await settled
      // QoS 0 is done when the last byte has left; what a cut loses meanwhile is QoS 0's loss.
      while (call.failure === null && (this.#stream?.backlog ?? 0) > 0) await this.#change()
    } finally {
      this.#end(call)
    }
    if (call.failure !== null) throw call.failure
  }

  /** Disconnects. Calls that are not done are rejected. */
  async close(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#failAll(
      new MillraceError('MQTT_PUBLISH_FAILED', 'The publisher was closed before everything was acknowledged.'),
    )
    const connection = this.#connection
    this.#connection = null
    await connection?.stop(0)
  }

  // What the connection asks and tells.

  open(version: 4 | 5, _address: BrokerAddress, push: (packet: Buffer) => void): FrameReader {
    this.#version = version
    return new AckReader((packet, type, id, reason) => {
      if (type === 0x40 || type === 0x50 || type === 0x70) this.#answered(type, id, reason)
      else push(packet)
    })
  }

  /** A session over the cuts of one publisher: it keeps QoS 2 exact where the broker keeps the session (MQTT 5). */
  session(version: 4 | 5, { text }: BrokerAddress): SessionRequest {
    // Another broker begins anew: what it knows of packet ids may be from before the last one.
    return { clean: version === 4 || this.#lastAddress !== text, expirySeconds: SESSION_SECONDS }
  }

  accepted(accepted: Accepted, stream: TapStream): void {
    this.#stream = stream
    this.#lastAddress = accepted.address.text
    if (!accepted.isSessionPresent) this.#forgetReleased()
    for (const [id, one] of this.#inFlight) {
      one.frame = encodePublish(one.message, id, accepted.version)
      if (accepted.isSessionPresent) one.frame[0] = one.frame[0]! | DUP
    }
  }

  subscriptions(): readonly Subscription[] {
    return []
  }

  ready(limits: BrokerLimits): void {
    this.#limits = limits
    this.#isReady = true
    // Everything not finished goes out again first, in its order.
    for (const [id, one] of this.#inFlight) this.#batch.push(one.isReleased ? pubrel(id) : one.frame)
    this.#flush()
    this.#changed()
  }

  lost(): boolean {
    const wasOfUse = this.#hasAnswered
    this.#hasAnswered = false
    this.#stream = null
    this.#isReady = false
    this.#batch = []
    this.#changed()
    return wasOfUse
  }

  failed(error: MillraceError, { attempt, retryInMs }: Failure): void {
    if (this.#calls.size === 0) return
    this.#log.warn('The MQTT sink is not connected; its batch waits', { error, attempt, retryInMs })
  }

  fatal(error: MillraceError): void {
    this.#connection = null
    this.#failAll(error)
  }

  // Sending.

  #begin(call: Call): void {
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#idle = null
    this.#stream?.ref()
    this.#calls.add(call)
    if (this.#connection === null) {
      const clientId = `${this.#options.clientId ?? 'millrace-sink'}-${randomBytes(6).toString('hex')}`
      this.#lastAddress = null
      this.#connection = new MqttConnection(this.#options, clientId, null, this)
      this.#connection.start()
    }
  }

  #end(call: Call): void {
    this.#calls.delete(call)
    if (this.#calls.size > 0 || this.#connection === null) return
    // An idle connection does not keep the process alive.
    this.#stream?.unref()
    this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref()
  }

  #hasRoom(qos: number): boolean {
    if (!this.#isReady || (this.#stream?.backlog ?? 0) > BACKLOG_BYTES) return false
    return qos === 0 || this.#inFlight.size < Math.min(this.#maxInFlight, this.#limits.receiveMaximum)
  }

  #send(message: OutgoingMessage, call: Call): void {
    const id = message.qos === 0 ? 0 : this.#freeId()
    const frame = encodePublish(message, id, this.#version)
    const problem = beyond(this.#limits, message, frame)
    if (problem !== null) {
      throw new MillraceError('MQTT_PUBLISH_FAILED', problem, { details: { topic: message.topic } })
    }
    if (message.qos !== 0) {
      call.waiting += 1
      this.#inFlight.set(id, { call, message, frame, isReleased: false })
    }
    this.#batch.push(frame)
    if (this.#batch.length >= 512) this.#flush()
    else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true
      setImmediate(() => this.#flush())
    }
  }

  #flush(): void {
    this.#isFlushScheduled = false
    if (this.#batch.length === 0 || this.#stream === null) return
    this.#stream.writePackets(this.#batch.length === 1 ? this.#batch[0]! : Buffer.concat(this.#batch))
    this.#batch = []
    if (this.#stream.backlog > 0) this.#stream.whenWritten(() => this.#changed())
  }

  #freeId(): number {
    while (this.#inFlight.has(this.#nextId)) this.#nextId = (this.#nextId % 65_535) + 1
    const id = this.#nextId
    this.#nextId = (id % 65_535) + 1
    return id
  }

  // Answers.

  #answered(type: number, id: number, reason: number): void {
    const one = this.#inFlight.get(id)
    if (type === 0x50 && reason < 0x80) {
      this.#stream?.writePackets(pubrel(id))
      if (one !== undefined) one.isReleased = true
      return
    }
    if (one === undefined) return
    this.#hasAnswered = true
    this.#inFlight.delete(id)
    if (reason >= 0x80 && type !== 0x70) {
      one.call.failure ??= new MillraceError(
        'MQTT_PUBLISH_FAILED',
        `The broker did not take a message to ${JSON.stringify(one.message.topic)}: ${reasonText(reason, 5)}.`,
        { details: { topic: one.message.topic, reasonCode: reason } },
      )
    }
    this.#done(one.call)
    this.#changed()
  }

  #done(call: Call): void {
    call.waiting -= 1
    if (call.failure !== null || (call.isComplete && call.waiting === 0)) call.settle()
  }

  /** Without the session the broker knows nothing of a release under way: it took the message before it lost the session. */
  #forgetReleased(): void {
    for (const [id, one] of this.#inFlight) {
      if (!one.isReleased) continue
      this.#inFlight.delete(id)
      this.#done(one.call)
    }
  }

  #failAll(error: unknown): void {
    for (const call of this.#calls) {
      call.failure ??= error
      call.settle()
    }
    this.#inFlight.clear()
    this.#changed()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  #changed(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}

/** Why a broker with these limits would end the connection over this message; null when it would not. */
function beyond(limits: BrokerLimits, { topic, qos, retain }: OutgoingMessage, frame: Buffer): string | null {
  if (frame.length > limits.maximumPacketSize) {
    return `A message of ${frame.length} bytes to ${topic} is larger than the broker takes (${limits.maximumPacketSize}).`
  }
  if (qos > limits.maximumQos) {
    return `A message of QoS ${qos} to ${topic} is of a higher QoS than the broker takes (${limits.maximumQos}).`
  }
  return retain && !limits.isRetainAvailable
    ? `The broker keeps no retained messages, and one to ${topic} is to be.`
    : null
}

function pubrel(id: number): Buffer {
  return Buffer.from([0x62, 2, id >> 8, id & 0xff])
}
