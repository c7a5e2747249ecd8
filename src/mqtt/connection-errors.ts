/** What can go wrong between us and a broker, in words: MQTT's reason, what it means here, what to do. */
import { MillraceError } from '../errors.js'
import type { BrokerAddress } from './broker-url.js'
import { reasonText } from './reason-codes.js'

/** No connection, or one that broke. `cause` says why. */
export function unreachable(address: BrokerAddress, cause: Error): MillraceError {
  const { code } = cause as { code?: unknown }
  const why = cause.message === '' && typeof code === 'string' ? code : cause.message
  return new MillraceError('MQTT_UNREACHABLE', `The broker ${address.text} cannot be reached: ${why}.`, {
    cause,
    details: { broker: address.text },
  })
}

/** A CONNACK with a reason code that refuses. Codes below 0x80 are MQTT 3.1.1's. */
export function refused(code: number, version: 4 | 5, address: BrokerAddress, clientId: string): MillraceError {
  const isAboutRights = code === 4 || code === 5 || code === 0x86 || code === 0x87
  return new MillraceError(
    'MQTT_REFUSED',
    `The broker ${address.text} refused the connection: ${reasonText(code, code < 0x80 ? 4 : version)}.${isAboutRights ? ' Check username, password and the rights of the client id.' : ''}`,
    { details: { reasonCode: code, broker: address.text, clientId } },
  )
}

/** A DISCONNECT of the broker (MQTT 5). */
export function disconnected(code: number, said: string | undefined, address: BrokerAddress): MillraceError {
  return new MillraceError(
    'MQTT_REFUSED',
    `The broker ${address.text} ended the connection: ${reasonText(code, 5)}${said === undefined ? '' : `, ${said}`}.`,
    { details: { reasonCode: code, broker: address.text } },
  )
}

/** The broker sent what MQTT.js found to be wrong; `cause` is what it said of it. */
export function protocolBroken(code: number, address: BrokerAddress, cause?: Error): MillraceError {
  const what = cause === undefined ? '' : ` (${cause.message})`
  return new MillraceError(
    'MQTT_PROTOCOL_ERROR',
    `The broker ${address.text} broke the protocol: ${reasonText(code, 5)}${what}. The connection is closed and made again.`,
    { cause, details: { reasonCode: code } },
  )
}

/** `what` the broker did that says that another client has our client id. */
export function takenOver(what: string, clientId: string): MillraceError {
  return new MillraceError(
    'MQTT_SESSION_TAKEN_OVER',
    `The broker ${what}: another client uses the client id ${JSON.stringify(clientId)}. The receiver stops, since two clients with one id would only push each other out. Give each receiver a clientId of its own.`,
    { details: { clientId } },
  )
}

/** A SUBACK that refuses filters; `refused` names each with its reason. */
export function subscribeRefused(refused: readonly string[]): MillraceError {
  return new MillraceError(
    'MQTT_SUBSCRIBE_REFUSED',
    `The broker refused to subscribe ${refused.join('; ')}. Check the broker's access rules and which kinds of subscription it offers.`,
    { details: { filters: refused } },
  )
}

export function subscribeUnanswered(cause: Error): MillraceError {
  return new MillraceError('MQTT_UNREACHABLE', `The subscription was not answered: ${cause.message}`, { cause })
}

export function unheard(forMs: number, keepaliveSeconds: number): MillraceError {
  return new MillraceError(
    'MQTT_UNREACHABLE',
    `The broker has not been heard for ${Math.round(forMs / 1000)} s (keepalive ${keepaliveSeconds} s).`,
  )
}

/** A SUBACK that grants less than was asked for; null when it grants it all. */
export function qosLowered(
  wanted: readonly { readonly filter: string; readonly qos: number }[],
  granted: readonly number[],
): MillraceError | null {
  const lowered = wanted.flatMap(({ filter, qos }, i) => {
    const got = granted[i] ?? qos
    return got < qos ? [`${filter}: QoS ${got} instead of ${qos}`] : []
  })
  if (lowered.length === 0) return null
  return new MillraceError(
    'MQTT_QOS_LOWERED',
    `The broker grants less than was asked for: ${lowered.join('; ')}. At QoS 0 it keeps nothing while the receiver is away and repeats nothing. Raise the broker's limit (Mosquitto: max_qos, HiveMQ: max-qos, EMQX: mqtt.max_qos_allowed), or ask for a lower qos.`,
    { details: { filters: lowered } },
  )
}

/** MQTT 5 tells the broker why it is left; 3.1.1 cannot. */
export function disconnectPacket(version: 4 | 5, error: unknown): Uint8Array | null {
  const code = MillraceError.is(error) ? error.details.reasonCode : null
  return version === 5 && typeof code === 'number' ? Buffer.from([0xe0, 2, code, 0]) : null
}
