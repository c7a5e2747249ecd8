/** mqttSink: publishes each record of a stream, beside the data. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import type { MqttConnectionOptions } from './mqtt-options.js'
import type { MqttMessageProperties } from './mqtt-properties.js'
import { MqttPublisher } from './mqtt-publisher.js'
import type { OutgoingMessage } from './publish-encoder.js'
import { resolveConnection } from './resolved-options.js'
import { checkTopicName } from './topic-filter.js'

/** What `mqttSink` publishes, and how. A function is called for each record, in the worker. */
export interface MqttSinkOptions<T> extends MqttConnectionOptions {
  readonly topic: string | ((record: T) => string)
  /** @default text and bytes as they are, everything else as JSON */
  readonly payload?: (record: T) => string | Uint8Array
  /** @default 1 */
  readonly qos?: 0 | 1 | 2
  /** @default false */
  readonly retain?: boolean | ((record: T) => boolean)
  /** MQTT 5 properties of the message; left out on 3.1.1. */
  readonly properties?: MqttMessageProperties | ((record: T) => MqttMessageProperties | undefined)
  /** Messages sent and not yet acknowledged, per process; the broker's own limit counts too. @default 1000 */
  readonly maxInFlight?: number
}

/**
 * Publishes every record of a partition; made for `foreachPartition`, so that it runs in the workers:
 *
 * ```ts
 * import { MqttJsonReceiver, mqttSink, StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'means', batchInterval: '1s' })
 * const readings = ssc.receiverStream(new MqttJsonReceiver<{ id: string; v: number }>('mqtt://localhost', 'plant/#'))
 * readings.map((one) => [one.id, one.v]).reduceByKey(Math.max)
 *   .foreachPartition(mqttSink('mqtt://localhost', { topic: ([id]) => `max/${id}`, payload: ([, max]) => String(max), retain: true }))
 * ```
 *
 * The promise resolves when the broker has acknowledged each record, so a batch is done only then; over a cut it waits, connects again, and sends
 * again what was not acknowledged, so a record may be published more than once (at QoS 2 on MQTT 5 only if the broker loses the session, or the task
 * runs again). All tasks of a process share one connection; `clientId` is the beginning of its client id. Throws `MQTT_INVALID_URL` and
 * `MQTT_INVALID_OPTION` at once; rejects with `MQTT_PUBLISH_FAILED` when the broker refuses a message.
 */
export function mqttSink<T>(
  brokerUrl: string | readonly string[],
  options: MqttSinkOptions<T>,
): (records: Iterable<T>) => Promise<void> {
  if (typeof options !== 'object' || options === null)
    throw invalid('topic', `Expected options with a topic, not ${kindOf(options)}.`)
  const { topic, payload = defaultPayload, qos = 1, retain = false, properties, maxInFlight = 1000, ...rest } = options
  const connection = resolveConnection(brokerUrl, rest)
  if (typeof topic === 'string') checkTopicName(topic)
  else if (typeof topic !== 'function') throw invalid('topic', 'Expected a topic or a function that gives one.')
  if (qos !== 0 && qos !== 1 && qos !== 2) throw invalid('qos', `Expected 0, 1 or 2, not ${String(qos)}.`)
  if (typeof retain !== 'boolean' && typeof retain !== 'function')
    throw invalid('retain', `Expected true, false or a function that gives one, not ${kindOf(retain)}.`)
  if (typeof payload !== 'function')
    throw invalid('payload', `Expected a function of the record, not ${kindOf(payload)}.`)
  if (properties !== undefined && typeof properties !== 'object' && typeof properties !== 'function')
    throw invalid('properties', `Expected properties or a function that gives them, not ${kindOf(properties)}.`)
  if (!Number.isInteger(maxInFlight) || maxInFlight < 1 || maxInFlight > 65_535) {
    throw invalid('maxInFlight', `Expected a whole number from 1 to 65535, not ${String(maxInFlight)}.`)
  }
  let publisher: MqttPublisher | null = null

  function* messages(records: Iterable<T>): Generator<OutgoingMessage> {
    for (const record of records) {
      const content = payload(record)
      yield {
        topic: typeof topic === 'string' ? topic : checkTopicName(topic(record)),
        payload: typeof content === 'string' ? Buffer.from(content) : content,
        qos: qos as 0 | 1 | 2,
        retain: typeof retain === 'boolean' ? retain : retain(record),
        properties: typeof properties === 'function' ? properties(record) : properties,
      }
    }
  }

  return async (records) => {
    publisher ??= new MqttPublisher(connection, maxInFlight)
    await publisher.publishAll(messages(records))
  }
}

function defaultPayload(record: unknown): string | Uint8Array {
  return typeof record === 'string' || record instanceof Uint8Array ? record : (JSON.stringify(record) ?? '')
}

function invalid(name: string, rule: string): MillraceError {
  return new MillraceError('MQTT_INVALID_OPTION', `The option ${name} of mqttSink is wrong. ${rule}`, {
    details: { option: name },
  })
}
