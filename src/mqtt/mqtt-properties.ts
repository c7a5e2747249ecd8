/** The properties of an MQTT 5 PUBLISH: which bytes are legal, where the topic alias is, and, when asked, what they say. */
import { MillraceError } from '../errors.js'
import { utf8Text } from './utf8-text.js'

/** What an MQTT 5 publisher may add to a message. Absent ones are left out. */
export interface MqttMessageProperties {
  /** True when the publisher says the payload is UTF-8 text. */
  readonly payloadFormatIndicator?: boolean
  /** Seconds the message had left to live when the broker sent it. */
  readonly messageExpiryInterval?: number
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Uint8Array
  /** Identifiers of the subscriptions that matched. */
  readonly subscriptionIdentifiers?: readonly number[]
  /** User properties in the order they were sent; a name may come more than once. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[]
}

const PAYLOAD_FORMAT = 0x01
const MESSAGE_EXPIRY = 0x02
const CONTENT_TYPE = 0x03
const RESPONSE_TOPIC = 0x08
const CORRELATION_DATA = 0x09
const SUBSCRIPTION_ID = 0x0b
const TOPIC_ALIAS = 0x23
const USER_PROPERTY = 0x26

/**
 * Checks the properties of a PUBLISH in bytes[start,end) and returns its topic alias: 0 when it has none, -1 when the bytes are
 * malformed, -2 when a property is there that may not be, or twice.
 */
export function scanProperties(bytes: Uint8Array, start: number, end: number): number {
  let alias = 0
  let seen = 0
  let pos = start
  while (pos < end) {
    const id = bytes[pos++]!
    if (id !== USER_PROPERTY && id !== SUBSCRIPTION_ID) {
      const bit = id === TOPIC_ALIAS ? 1 << 16 : 1 << (id & 15)
      if ((seen & bit) !== 0) return -2
      seen |= bit
    }
    switch (id) {
      case PAYLOAD_FORMAT:
        if (pos < end && bytes[pos]! > 1) return -2
        pos += 1
        break
      case MESSAGE_EXPIRY:
        pos += 4
        break
      case CONTENT_TYPE:
      case RESPONSE_TOPIC:
        if (pos + 2 > end) return -1
        pos += 2 + (bytes[pos]! * 256 + bytes[pos + 1]!)
        break
      case CORRELATION_DATA:
        if (pos + 2 > end) return -1
        pos += 2 + (bytes[pos]! * 256 + bytes[pos + 1]!)
        break
      case USER_PROPERTY:
        for (let part = 0; part < 2; part++) {
          if (pos + 2 > end) return -1
          pos += 2 + (bytes[pos]! * 256 + bytes[pos + 1]!)
        }
        break
      case SUBSCRIPTION_ID: {
        let length = 1
        while (length < 4 && pos < end && bytes[pos]! >= 0x80) {
          pos += 1
          length += 1
        }
        if (pos < end && bytes[pos]! >= 0x80) return -1
        pos += 1
        break
      }
      case TOPIC_ALIAS:
        if (pos + 2 > end) return -1
        alias = bytes[pos]! * 256 + bytes[pos + 1]!
        if (alias === 0) return -2
        pos += 2
        break
      default:
        return -2
    }
  }
  return pos === end ? alias : -1
}

/** The same properties without the topic alias, which means something only on the connection it came by. */
export function withoutTopicAlias(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const kept = new Uint8Array(end - start)
  let length = 0
  for (let pos = start; pos < end; ) {
    const next = endOfProperty(bytes, pos)
    if (bytes[pos] !== TOPIC_ALIAS) {
      kept.set(bytes.subarray(pos, next), length)
      length += next - pos
    }
    pos = next
  }
  return kept.subarray(0, length)
}

/** Decodes properties already checked by `scanProperties`. Bytes are copied, so the result outlives the block. */
export function decodeProperties(bytes: Buffer, start: number, end: number): MqttMessageProperties {
  const found: { -readonly [K in keyof MqttMessageProperties]: MqttMessageProperties[K] } = {}
  const users: [string, string][] = []
  const ids: number[] = []
  for (let pos = start; pos < end; ) {
    const next = endOfProperty(bytes, pos)
    const at = pos + 1
    switch (bytes[pos]) {
      case PAYLOAD_FORMAT:
        found.payloadFormatIndicator = bytes[at] === 1
        break
      case MESSAGE_EXPIRY:
        found.messageExpiryInterval = bytes.readUInt32BE(at)
        break
      case CONTENT_TYPE:
        found.contentType = utf8Text(bytes, at + 2, next)
        break
      case RESPONSE_TOPIC:
        found.responseTopic = utf8Text(bytes, at + 2, next)
        break
      case CORRELATION_DATA:
        found.correlationData = new Uint8Array(bytes.subarray(at + 2, next))
        break
      case USER_PROPERTY: {
        const value = at + 2 + bytes.readUInt16BE(at)
        users.push([utf8Text(bytes, at + 2, value), utf8Text(bytes, value + 2, next)])
        break
      }
      case SUBSCRIPTION_ID:
        ids.push(readVariableInteger(bytes, at))
        break
      default:
    }
    pos = next
  }
  if (users.length > 0) found.userProperties = users
  if (ids.length > 0) found.subscriptionIdentifiers = ids
  return found
}

/** The variable byte integer at `pos`; -1 when four bytes do not end it. */
export function readVariableInteger(bytes: Uint8Array, pos: number): number {
  let value = 0
  let factor = 1
  for (let i = 0; i < 4; i++) {
    const byte = bytes[pos + i] ?? 0x80
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return value
    factor *= 128
  }
  return -1
}

/** How many bytes a variable byte integer of this value takes. */
export function variableIntegerLength(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4
}

/** Writes a variable byte integer at `pos`; returns the position behind it. */
export function writeVariableInteger(bytes: Uint8Array, pos: number, value: number): number {
  let rest = value
  let at = pos
  while (rest >= 128) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[at++] = rest
  return at
}

function endOfProperty(bytes: Uint8Array, pos: number): number {
  const at = pos + 1
  const text = (from: number): number => from + 2 + (bytes[from]! * 256 + bytes[from + 1]!)
  switch (bytes[pos]) {
    case PAYLOAD_FORMAT:
      return at + 1
    case MESSAGE_EXPIRY:
      return at + 4
    case TOPIC_ALIAS:
      return at + 2
    case USER_PROPERTY:
      return text(text(at))
    case SUBSCRIPTION_ID:
      return at + variableIntegerLength(readVariableInteger(bytes, at))
    case CONTENT_TYPE:
    case RESPONSE_TOPIC:
    case CORRELATION_DATA:
      return text(at)
    default:
      throw new MillraceError(
        'INTERNAL',
        `A stored message has the unknown MQTT property 0x${bytes[pos]?.toString(16)}.`,
      )
  }
}
