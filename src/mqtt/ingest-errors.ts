/** What an MQTT receiver reports about its broker and itself while it goes on. */
import { MillraceError } from '../errors.js'

/** The broker had a session of ours and has it no longer. */
export function sessionLost(broker: string): MillraceError {
  return new MillraceError(
    'MQTT_SESSION_LOST',
    `The broker ${broker} no longer has the session: messages published while the receiver was away, or not yet acknowledged, may be lost. Brokers keep sessions over a restart only with persistence on (Mosquitto: persistence true), and no longer than sessionExpiryInterval.`,
    { details: { broker } },
  )
}

/** The broker sends `window` messages and waits. `receiveMaximum` is what an MQTT 5 receiver asked for. */
export function windowLimited(window: number, version: 4 | 5, receiveMaximum: number): MillraceError {
  const isOurs = version === 5 && window >= receiveMaximum
  const advice = isOurs
    ? `Raise the option receiveMaximum (${receiveMaximum}) or maxBufferedBytes.`
    : `Raise the broker's limit (Mosquitto: max_inflight_messages, EMQX: mqtt.max_inflight, HiveMQ: the client's receive maximum, VerneMQ: max_inflight_messages)${version === 4 ? ', or connect with MQTT 5, where the receiver may ask for more' : ''}.`
  return new MillraceError(
    'MQTT_WINDOW_LIMITED',
    `The broker sends ${window} messages and then waits for acknowledgements, which wait for storage. ${advice}`,
    { details: { window } },
  )
}

/** What waits to be stored. */
export interface Behind {
  readonly seconds: number
  readonly bufferedBytes: number
  readonly maxBufferedBytes: number
  readonly unacknowledged: number
}

/** Storing is behind, so the connection is not read. */
export function notRead(behind: Behind): MillraceError {
  const { seconds, bufferedBytes, maxBufferedBytes, unacknowledged } = behind
  return new MillraceError(
    'MQTT_NOT_READ',
    `Storing has been behind for ${seconds} s: ${bufferedBytes} bytes of ${maxBufferedBytes} (maxBufferedBytes) and ${unacknowledged} messages wait for it, so the connection is not read. The broker queues what comes meanwhile, and drops what its queue does not hold (Mosquitto: max_queued_messages, 1000 unless set; EMQX: mqtt.max_mqueue_len; HiveMQ: max-queue-size; VerneMQ: max_online_messages). Make the batches faster, or give the job more memory or executors.`,
    { details: { bufferedBytes, maxBufferedBytes, unacknowledged } },
  )
}

/** The broker went back to an older state of itself, by its packet ids. */
export function wentBack(broker: string): MillraceError {
  return possibleDuplicates(
    broker,
    `The broker ${broker} uses packet ids from before those it used last: it seems to have gone back to an older state of itself, and sends again what came since.`,
  )
}

/** The receiver fell over to another broker. */
export function otherBroker(broker: string): MillraceError {
  return possibleDuplicates(
    broker,
    `The receiver is connected to another broker now, ${broker}, which may send what came by the last one.`,
  )
}

function possibleDuplicates(broker: string, what: string): MillraceError {
  return new MillraceError(
    'MQTT_DUPLICATES_POSSIBLE',
    `${what} Packet ids cannot tell such messages from new ones. Give the receiver a messageId, or make the job's outputs idempotent.`,
    { details: { broker } },
  )
}
