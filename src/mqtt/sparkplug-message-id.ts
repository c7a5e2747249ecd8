/** An id for Sparkplug B messages: their topic, time and sequence number, read from the payload without decoding its metrics. */
import type { MqttMessage } from './message-block.js'

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5
/** Numbers of the fields of a payload. */
const TIMESTAMP = 1
const SEQUENCE = 3

/**
 * The `messageId` of a receiver of Sparkplug B messages: `<topic> <timestamp> <seq>`. The sequence number alone would not do: it
 * counts to 255 and begins anew, for each edge node. Null for a message that has no timestamp and no sequence number.
 *
 * ```ts
 * import { MqttMessageReceiver, sparkplugMessageId } from 'millrace'
 * const options = { clientId: 'plant', messageId: sparkplugMessageId }
 * const receiver = new MqttMessageReceiver('mqtt://localhost:1883', 'spBv1.0/plant/DDATA/#', options)
 * ```
 */
export function sparkplugMessageId({ topic, payload }: MqttMessage): string | null {
  let timestamp: bigint | null = null
  let sequence: bigint | null = null
  let at = 0
  const varint = (): bigint | null => {
    let value = 0n
    for (let shift = 0n; at < payload.length && shift < 70n; shift += 7n) {
      const byte = payload[at++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return null
  }
  while (at < payload.length) {
    const tag = varint()
    if (tag === null) return null
    const field = Number(tag >> 3n)
    const type = Number(tag & 7n)
    if (type === VARINT) {
      const value = varint()
      if (value === null) return null
      if (field === TIMESTAMP) timestamp = value
      if (field === SEQUENCE) sequence = value
    } else if (type === BYTES) {
      const length = varint()
      if (length === null) return null
      at += Number(length)
    } else if (type === FIXED64) at += 8
    else if (type === FIXED32) at += 4
    else return null
  }
  return timestamp === null && sequence === null ? null : `${topic} ${timestamp ?? ''} ${sequence ?? ''}`
}
