/** The tap: walks MQTT frames in the bytes a socket gave, keeps PUBLISH frames as they are for a block, and notes what to acknowledge. */
import { checkControl, checkTopic, violation } from './broker-frames.js'
import { scanProperties } from './mqtt-properties.js'
import { Reason } from './reason-codes.js'
import { TopicAliases } from './topic-aliases.js'

/** What one walk took: PUBLISH frames, one after another, and the acknowledgements due once they are stored. */
export interface TakenMessages {
  /** The bytes before the first frame are left free for the block's header. */
  readonly bytes: Buffer
  /** True when `bytes` lie in the buffer that was walked. */
  readonly isInPlace: boolean
  readonly messages: number
  /** PUBACK and PUBREC packets, four bytes each, in the order the messages came. */
  readonly acks: Buffer
  /** Packet ids of QoS 2 among them: the broker holds these until they are released. */
  readonly openIds: readonly number[]
}

export interface TapOptions {
  readonly version: 4 | 5
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
  /** Bytes to leave free in front of the frames of each block. */
  readonly headerLength: number
  /** Packet ids of QoS 2 messages taken and not yet released by the broker: one byte an id. Outlives the connection as the session does. */
  readonly openIds: Uint8Array
  /** Called with every packet that is not a message, in its place in the order; the bytes are valid during the call only. */
  readonly onControl: (packet: Buffer) => void
}

/** The part of a buffer that must be full of messages for it to be kept instead of copied: what is empty is memory not counted. */
const WORTH_KEEPING = 0.75

/**
 * Reads frames where they lie, without an object per message. `walk` takes whole frames and stops at the first incomplete one;
 * `take` hands over what was walked. A frame that breaks the protocol is thrown as `MQTT_PROTOCOL_ERROR` with MQTT's reason code in
 * `details.reasonCode`; frames before it are kept.
 */
export class PublishTap {
  readonly #options: TapOptions
  readonly #aliases: TopicAliases
  readonly #runs: Uint8Array[] = []
  #runBytes = 0
  #messages = 0
  #taken: number[] = []
  #acks: Buffer = Buffer.allocUnsafeSlow(16 * 1024)
  #ackLength = 0
  #replies: Buffer = Buffer.alloc(0)
  #replyLength = 0
  #isAccepted = false
  /** Length of the incomplete frame `walk` stopped at, 0 when it is not known yet. */
  needed = 0
  /** True when the last `walk` stopped because of its limit. */
  isLimited = false
  /** Messages taken with the DUP flag: sent before, by the broker's account. */
  redelivered = 0
  /** QoS 2 messages left out because they had been taken before. */
  repeated = 0

  constructor(options: TapOptions) {
    this.#options = options
    this.#aliases = new TopicAliases(options.topicAliasMaximum)
  }

  /** Messages walked and not yet taken. */
  get messages(): number {
    return this.#messages
  }

  /**
   * Walks whole frames in bytes[start,end), at most `limit` messages of them, and returns where it stopped. The bytes must stay as
   * they are until `take`.
   */
  walk(bytes: Buffer, start: number, end: number, limit: number): number {
    const { version, maximumPacketSize, openIds } = this.#options
    let acks = this.#acks
    let ackLength = this.#ackLength
    let count = this.#messages
    const stopAt = count + limit
    let pos = start
    let run = start
    this.needed = 0
    this.isLimited = false
    try {
      while (pos + 1 < end) {
        const first = bytes[pos]!
        // The remaining length: one byte nearly always.
        let at = pos + 2
        let length = bytes[pos + 1]!
        if (length >= 0x80) {
          length &= 0x7f
          let factor = 128
          let byte = 0x80
          while (byte >= 0x80) {
            if (at >= end) break
            if (factor > 2_097_152)
              throw violation(Reason.MALFORMED_PACKET, 'a remaining length of more than four bytes')
            byte = bytes[at++]!
            length += (byte & 0x7f) * factor
            factor *= 128
          }
          if (byte >= 0x80) break
        }
        const next = at + length
        if (next - pos > maximumPacketSize) {
          throw violation(
            Reason.PACKET_TOO_LARGE,
            `a packet of ${next - pos} bytes; the limit (maximumPacketSize) is ${maximumPacketSize}`,
          )
        }
        if (!this.#isAccepted && first !== 0x20 && first !== 0xf0) {
          throw violation(Reason.PROTOCOL_ERROR, 'a packet before CONNACK')
        }
        if ((first & 0xf0) !== 0x30) {
          checkControl(first, length, version)
          if (next > end) {
            this.needed = next - pos
            break
          }
          if (run < pos) this.#keep(bytes.subarray(run, pos))
          run = next
          if (first === 0x62) {
            this.#release(bytes, at, length)
          } else {
            if (first === 0x20 && this.#isAccepted) throw violation(Reason.PROTOCOL_ERROR, 'a second CONNACK')
            this.#isAccepted ||= first === 0x20
            this.#options.onControl(bytes.subarray(pos, next))
          }
          pos = next
          continue
        }
        if (next > end) {
          this.needed = next - pos
          break
        }
        if (count >= stopAt) {
          this.isLimited = true
          break
        }
        const qos = (first >> 1) & 3
        if (qos === 3) throw violation(Reason.MALFORMED_PACKET, 'a message of QoS 3')
        if (length < 2) throw violation(Reason.MALFORMED_PACKET, 'a message that is too short to have a topic')
        const topicLength = bytes[at]! * 256 + bytes[at + 1]!
        const topic = at + 2
        const topicEnd = topic + topicLength
        let body = qos === 0 ? topicEnd : topicEnd + 2
        if (body > next) throw violation(Reason.MALFORMED_PACKET, 'a topic that is longer than its packet')
        for (let i = topic; i < topicEnd; i++) {
          const byte = bytes[i]!
          if (byte >= 0x80 || byte === 0 || byte === 0x2b || byte === 0x23) {
            checkTopic(bytes, topic, topicEnd)
            break
          }
        }
        let alias = 0
        let expanded: Uint8Array | null = null
        const properties = body
        if (version === 5) {
          if (body >= next) throw violation(Reason.MALFORMED_PACKET, 'an MQTT 5 message without a properties length')
          let size = bytes[body++]!
          if (size !== 0) {
            if (size >= 0x80) {
              size &= 0x7f
              for (let factor = 128; ; factor *= 128) {
                const byte = body < next && factor <= 2_097_152 ? bytes[body++]! : -1
                if (byte < 0) throw violation(Reason.MALFORMED_PACKET, 'a malformed properties length')
                size += (byte & 0x7f) * factor
                if (byte < 0x80) break
              }
            }
            if (body + size > next)
              throw violation(Reason.MALFORMED_PACKET, 'properties that are longer than their packet')
            alias = scanProperties(bytes, body, body + size)
            if (alias < 0) {
              throw alias === -1
                ? violation(Reason.MALFORMED_PACKET, 'malformed properties')
                : violation(Reason.PROTOCOL_ERROR, 'a property that a message may not have, or may have once only')
            }
            body += size
          }
        }
        if (topicLength === 0) expanded = this.#aliases.expanded(alias, bytes, pos, topicEnd, properties, body, next)
        else if (alias !== 0) this.#aliases.set(alias, bytes, topic, topicEnd)
        let isRepeated = false
        if (qos !== 0) {
          const id = bytes[topicEnd]! * 256 + bytes[topicEnd + 1]!
          if (id === 0) throw violation(Reason.PROTOCOL_ERROR, 'a message with packet identifier 0')
          if (qos === 2) {
            isRepeated = openIds[id] !== 0
            openIds[id] = 1
            this.#taken.push(id)
          }
          if (ackLength + 4 > acks.length) {
            acks = Buffer.concat([acks, Buffer.allocUnsafeSlow(acks.length)])
            this.#acks = acks
          }
          acks[ackLength] = qos === 1 ? 0x40 : 0x50
          acks[ackLength + 1] = 2
          acks[ackLength + 2] = bytes[topicEnd]!
          acks[ackLength + 3] = bytes[topicEnd + 1]!
          ackLength += 4
          if ((first & 8) !== 0) this.redelivered += 1
        } else if ((first & 8) !== 0) {
          throw violation(Reason.MALFORMED_PACKET, 'a message of QoS 0 with the DUP flag')
        }
        if (isRepeated || expanded !== null) {
          if (run < pos) this.#keep(bytes.subarray(run, pos))
          run = next
          if (isRepeated) this.repeated += 1
          else if (expanded !== null) this.#keep(expanded)
        }
        if (!isRepeated) count += 1
        pos = next
      }
    } finally {
      if (run < pos) this.#keep(bytes.subarray(run, pos))
      this.#ackLength = ackLength
      this.#messages = count
    }
    return pos
  }

  /**
   * What was walked since the last `take`; null when there was nothing to store or acknowledge. It is copied into a buffer of its own, unless it
   * lies in `buffer` in one piece that fills most of it, behind room for the header: then it is that piece, and the buffer must not be used again.
   */
  take(buffer: Buffer | null = null): TakenMessages | null {
    if (this.#messages === 0 && this.#ackLength === 0) return null
    const { headerLength } = this.#options
    const first = this.#runs[0]
    const isInPlace =
      buffer !== null &&
      this.#runs.length === 1 &&
      first!.buffer === buffer.buffer &&
      first!.byteOffset - buffer.byteOffset >= headerLength &&
      this.#runBytes >= buffer.length * WORTH_KEEPING
    let bytes: Buffer
    if (isInPlace) {
      const at = first!.byteOffset - buffer.byteOffset
      bytes = buffer.subarray(at - headerLength, at + this.#runBytes)
    } else {
      bytes = Buffer.allocUnsafeSlow(headerLength + this.#runBytes)
      let at = headerLength
      for (const run of this.#runs) {
        bytes.set(run, at)
        at += run.length
      }
    }
    const taken = {
      bytes,
      isInPlace,
      messages: this.#messages,
      acks: Uint8Array.prototype.slice.call(this.#acks, 0, this.#ackLength) as Buffer,
      openIds: this.#taken,
    }
    if (this.#taken.length > 0) this.#taken = []
    this.#runs.length = 0
    this.#runBytes = 0
    this.#messages = 0
    this.#ackLength = 0
    return taken
  }

  /** PUBCOMP packets due for the PUBRELs walked: to be written at once, their messages are stored already. */
  takeReplies(): Buffer | null {
    if (this.#replyLength === 0) return null
    const replies = Uint8Array.prototype.slice.call(this.#replies, 0, this.#replyLength) as Buffer
    this.#replyLength = 0
    return replies
  }

  #keep(run: Uint8Array): void {
    this.#runs.push(run)
    this.#runBytes += run.length
  }

  #release(bytes: Buffer, at: number, length: number): void {
    if (length < 2) throw violation(Reason.MALFORMED_PACKET, 'a PUBREL without a packet identifier')
    const id = bytes[at]! * 256 + bytes[at + 1]!
    if (id === 0) throw violation(Reason.PROTOCOL_ERROR, 'a PUBREL with packet identifier 0')
    this.#options.openIds[id] = 0
    if (this.#replyLength + 4 > this.#replies.length) {
      this.#replies = Buffer.concat([this.#replies, Buffer.alloc(this.#replies.length + 1024)])
    }
    this.#replies.writeUInt32BE(0x70020000 + id, this.#replyLength)
    this.#replyLength += 4
  }
}
