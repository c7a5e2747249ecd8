/**
 * Blocks of an MQTT receiver: a header that says how the messages came, then their PUBLISH frames as they came.
 *
 *     00 0e | version | flags | connection (u32) | session (8 bytes) | PUBLISH frame | PUBLISH frame | …
 *
 * The header is written as a packet of type 0, which MQTT does not have, so blocks may follow one another in one buffer. Version is 4
 * (MQTT 3.1.1) or 5. Flag 1: the broker resumed the session on this connection. Connection counts the receiver's connections from 1.
 * Session is random when the broker began the session while this receiver watched, and zero when it was there before.
 */
import { randomBytes } from 'node:crypto'
import { MillraceError } from '../errors.js'
import { decodeProperties, type MqttMessageProperties, readVariableInteger } from './mqtt-properties.js'
import type { TopicCache } from './topic-cache.js'
import { utf8Text } from './utf8-text.js'

export const BLOCK_HEADER_LENGTH = 16

/** How the messages of a block came. Two blocks with the same packet id are one message sent twice only within one session. */
export interface BlockHeader {
  readonly version: 4 | 5
  readonly isSessionResumed: boolean
  /** Counts the receiver's connections from 1. */
  readonly connection: number
  /** The session, in hexadecimal; zeros for one that began before this receiver did. */
  readonly session: string
}

/** A name for a session that begins now. */
export function newSession(): string {
  return randomBytes(8).toString('hex')
}

export const EARLIER_SESSION = '0000000000000000'

/** Writes the header into the first `BLOCK_HEADER_LENGTH` bytes of `block`. */
export function writeBlockHeader(block: Buffer, header: BlockHeader): void {
  block[0] = 0x00
  block[1] = BLOCK_HEADER_LENGTH - 2
  block[2] = header.version
  block[3] = header.isSessionResumed ? 1 : 0
  block.writeUInt32BE(header.connection, 4)
  block.write(header.session, 8, 'hex')
}

/** Reads the header at `at`. Throws `INTERNAL` when there is none. */
export function readBlockHeader(block: Buffer, at = 0): BlockHeader {
  const version = block[at + 2]
  if (block[at] !== 0 || block[at + 1] !== BLOCK_HEADER_LENGTH - 2 || (version !== 4 && version !== 5)) {
    throw new MillraceError('INTERNAL', 'A stored block of an MQTT receiver does not begin with its header.')
  }
  return {
    version,
    isSessionResumed: (block[at + 3]! & 1) !== 0,
    connection: block.readUInt32BE(at + 4),
    session: block.toString('hex', at + 8, at + 16),
  }
}

/** An MQTT message. */
export interface MqttMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1 | 2
  /** True for a message the broker had kept from before the subscription. */
  readonly retain: boolean
  /** True when the broker says it has sent the message before. Brokers differ in when they say so. */
  readonly dup: boolean
  /** MQTT 5 properties; undefined when the message has none. */
  readonly properties?: MqttMessageProperties | undefined
}

/**
 * Reads the messages of a block one after another. It is itself the view of the current message: every property is decoded when it is
 * asked for, and is valid until `next` is called again. No object is made per message.
 */
export class BlockReader implements MqttMessage {
  #bytes: Buffer
  #isOwn = false
  readonly #topics: TopicCache | null
  #version: 4 | 5 = 5
  #start = 0
  #first = 0
  #topicStart = 0
  #topicEnd = 0
  #propertiesStart = 0
  #payloadStart = 0
  #end = 0
  /** Which message of the block this is, from 0. */
  index = -1

  constructor(bytes: Uint8Array, topics: TopicCache | null = null) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#topics = topics
  }

  /** Goes to the next message; false at the end of the block. Throws `INTERNAL` when the block is damaged. */
  next(): boolean {
    const bytes = this.#bytes
    let pos = this.#end
    while (pos < bytes.length && bytes[pos] === 0) {
      this.#version = readBlockHeader(bytes, pos).version
      pos += BLOCK_HEADER_LENGTH
    }
    if (pos >= bytes.length) return false
    this.#start = pos
    const first = bytes[pos]!
    let at = pos + 2
    let length = bytes[pos + 1]!
    if (length >= 0x80) {
      length = readVariableInteger(bytes, pos + 1)
      while (bytes[at - 1]! >= 0x80) at += 1
    }
    const end = at + length
    if ((first & 0xf0) !== 0x30 || length < 2 || end > bytes.length) throw damaged()
    this.#first = first
    this.#topicStart = at + 2
    this.#topicEnd = at + 2 + bytes[at]! * 256 + bytes[at + 1]!
    let body = (first & 6) === 0 ? this.#topicEnd : this.#topicEnd + 2
    this.#propertiesStart = body
    if (this.#version === 5) {
      let size = bytes[body++]!
      if (size >= 0x80) {
        size = readVariableInteger(bytes, body - 1)
        while (bytes[body - 1]! >= 0x80) body += 1
      }
      this.#propertiesStart = body
      body += size
    }
    if (body > end) throw damaged()
    this.#payloadStart = body
    this.#end = end
    this.index += 1
    return true
  }

  /** From here on the block is read from a copy: views of it may be kept, whatever becomes of the memory it lies in. */
  copyOnce(): void {
    if (this.#isOwn) return
    this.#isOwn = true
    this.#bytes = Uint8Array.prototype.slice.call(this.#bytes) as Buffer
  }

  /** Where the message's frame begins in the block. */
  get start(): number {
    return this.#start
  }

  /** Where it ends. */
  get end(): number {
    return this.#end
  }

  get topic(): string {
    return this.#topics === null
      ? utf8Text(this.#bytes, this.#topicStart, this.#topicEnd)
      : this.#topics.text(this.#bytes, this.#topicStart, this.#topicEnd)
  }

  /** A view of the block's memory: copy what must outlive the call. */
  get payload(): Buffer {
    return this.#bytes.subarray(this.#payloadStart, this.#end)
  }

  /** The payload as text; bytes that are not UTF-8 become U+FFFD. */
  get text(): string {
    return utf8Text(this.#bytes, this.#payloadStart, this.#end)
  }

  get payloadLength(): number {
    return this.#end - this.#payloadStart
  }

  get qos(): 0 | 1 | 2 {
    return ((this.#first >> 1) & 3) as 0 | 1 | 2
  }

  get retain(): boolean {
    return (this.#first & 1) !== 0
  }

  get dup(): boolean {
    return (this.#first & 8) !== 0
  }

  /** The packet identifier; null at QoS 0. Unique only among messages in flight. */
  get packetId(): number | null {
    return (this.#first & 6) === 0 ? null : this.#bytes.readUInt16BE(this.#topicEnd)
  }

  get properties(): MqttMessageProperties | undefined {
    return this.#payloadStart === this.#propertiesStart || this.#version === 4
      ? undefined
      : decodeProperties(this.#bytes, this.#propertiesStart, this.#payloadStart)
  }

  /** The current message as an object of its own, its payload copied. */
  toMessage(): MqttMessage {
    const properties = this.properties
    const message = {
      topic: this.topic,
      payload: new Uint8Array(this.payload),
      qos: this.qos,
      retain: this.retain,
      dup: this.dup,
    }
    return properties === undefined ? message : { ...message, properties }
  }
}

function damaged(): MillraceError {
  return new MillraceError('INTERNAL', 'A stored block of an MQTT receiver holds something that is not a message.')
}
