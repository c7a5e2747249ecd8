/** What a broker may send to a subscriber, and the error for what it may not. */
import { MillraceError } from '../errors.js'
import { Reason, reasonText } from './reason-codes.js'

const CONTROL_LIMIT = 256 * 1024

/** The error that ends a connection, with MQTT's reason code in `details.reasonCode`. */
export function violation(reasonCode: number, what: string): MillraceError {
  return new MillraceError(
    'MQTT_PROTOCOL_ERROR',
    `The broker sent ${what}: ${reasonText(reasonCode, 5)}. The connection is closed and made again; what was not stored is sent again by the broker.`,
    { details: { reasonCode } },
  )
}

/** Only packets a broker may send to a subscriber, with the flags they must have, and no larger than they can sensibly be. */
export function checkControl(first: number, length: number, version: 4 | 5): void {
  const allowed =
    first === 0x20 || // CONNACK
    first === 0x62 || // PUBREL
    first === 0x90 || // SUBACK
    first === 0xb0 || // UNSUBACK
    first === 0xd0 || // PINGRESP
    (version === 5 && (first === 0xe0 || first === 0xf0)) // DISCONNECT, AUTH
  if (!allowed) {
    throw violation(
      Reason.PROTOCOL_ERROR,
      `a packet that begins with 0x${first.toString(16).padStart(2, '0')}, which a broker may not send here`,
    )
  }
  if (length > CONTROL_LIMIT) throw violation(Reason.PACKET_TOO_LARGE, `a control packet of ${length} bytes`)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The slow look at a topic with a byte that is not plain ASCII text. */
export function checkTopic(bytes: Buffer, start: number, end: number): void {
  let topic: string
  try {
    topic = utf8.decode(bytes.subarray(start, end))
  } catch {
    throw violation(Reason.MALFORMED_PACKET, 'a topic that is not valid UTF-8')
  }
  if (topic.includes('\u0000')) throw violation(Reason.MALFORMED_PACKET, 'a topic with the character U+0000')
  if (/[+#]/.test(topic)) throw violation(Reason.TOPIC_NAME_INVALID, 'a topic with a wildcard')
}
