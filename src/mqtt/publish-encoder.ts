/** Encodes PUBLISH frames: what the sink sends. */
import { MillraceError } from '../errors.js'
import { type MqttMessageProperties, variableIntegerLength, writeVariableInteger } from './mqtt-properties.js'

/** One message to publish. */
export interface OutgoingMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** MQTT 5 only; left out on 3.1.1. */
  readonly properties?: MqttMessageProperties | undefined
}

const REMAINING_LIMIT = 268_435_455
const NONE: Uint8Array = new Uint8Array(0)

/** The frame, with `packetId` where the QoS asks for one. Throws `MQTT_PUBLISH_FAILED` for a message larger than MQTT can carry. */
export function encodePublish(message: OutgoingMessage, packetId: number, version: 4 | 5): Buffer {
  const { topic, payload, qos } = message
  const topicLength = Buffer.byteLength(topic)
  const properties = version === 5 && message.properties !== undefined ? encodeProperties(message.properties) : NONE
  const propertiesLength = version === 5 ? variableIntegerLength(properties.length) + properties.length : 0
  const length = 2 + topicLength + (qos === 0 ? 0 : 2) + propertiesLength + payload.length
  if (length > REMAINING_LIMIT) {
    throw new MillraceError(
      'MQTT_PUBLISH_FAILED',
      `A message of ${length} bytes to ${topic} is larger than MQTT can carry (${REMAINING_LIMIT}).`,
    )
  }
  const frame = Buffer.allocUnsafe(1 + variableIntegerLength(length) + length)
  frame[0] = 0x30 | (qos << 1) | (message.retain ? 1 : 0)
  let at = writeVariableInteger(frame, 1, length)
  frame[at++] = topicLength >> 8
  frame[at++] = topicLength & 0xff
  at += frame.write(topic, at)
  if (qos !== 0) {
    frame[at++] = packetId >> 8
    frame[at++] = packetId & 0xff
  }
  if (version === 5) {
    at = writeVariableInteger(frame, at, properties.length)
    frame.set(properties, at)
    at += properties.length
  }
  frame.set(payload, at)
  return frame
}

function encodeProperties(properties: MqttMessageProperties): Uint8Array {
  const parts: Uint8Array[] = []
  const text = (...values: (string | Uint8Array)[]): void => {
    for (const value of values) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value
      if (bytes.length > 65_535)
        throw new MillraceError(
          'MQTT_PUBLISH_FAILED',
          `An MQTT property of ${bytes.length} bytes is too long; the limit is 65535.`,
        )
      parts.push(Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes)
    }
  }
  if (properties.payloadFormatIndicator === true) parts.push(Buffer.from([0x01, 1]))
  if (properties.messageExpiryInterval !== undefined) {
    const four = Buffer.alloc(5, 0x02)
    four.writeUInt32BE(properties.messageExpiryInterval, 1)
    parts.push(four)
  }
  if (properties.contentType !== undefined) {
    parts.push(Buffer.from([0x03]))
    text(properties.contentType)
  }
  if (properties.responseTopic !== undefined) {
    parts.push(Buffer.from([0x08]))
    text(properties.responseTopic)
  }
  if (properties.correlationData !== undefined) {
    parts.push(Buffer.from([0x09]))
    text(properties.correlationData)
  }
  for (const [name, value] of properties.userProperties ?? []) {
    parts.push(Buffer.from([0x26]))
    text(name, value)
  }
  return Buffer.concat(parts)
}
