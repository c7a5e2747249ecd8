/** MqttSparkplugReceiver: Sparkplug B messages with their place in the topic namespace and their metrics. */
import type { MqttMessage } from './message-block.js'
import { type DecodingOptions, MqttDecodingReceiver } from './mqtt-decoding-receiver.js'
import { optionalPackage } from './optional-package.js'

/** A metric's value; whole numbers beyond 2^53 are bigint. */
export type SparkplugValue = null | boolean | number | bigint | string | Uint8Array | object

export interface SparkplugMetric {
  /** Null where the edge node sends only the alias it announced at its birth. */
  readonly name: string | null
  readonly alias: number | bigint | null
  readonly type: string | null
  /** Milliseconds since the epoch. */
  readonly timestamp: number | null
  readonly value: SparkplugValue
}

export interface SparkplugMessage {
  readonly group: string
  /** NBIRTH, NDEATH, DBIRTH, DDEATH, NDATA, DDATA, NCMD or DCMD. */
  readonly type: string
  readonly edgeNode: string
  readonly device: string | null
  readonly timestamp: number | null
  readonly sequence: number | null
  readonly metrics: readonly SparkplugMetric[]
}

interface SparkplugPackage {
  get(namespace: string): { decodePayload(bytes: Uint8Array): DecodedPayload } | null
}
interface DecodedPayload {
  readonly timestamp?: unknown
  readonly seq?: unknown
  readonly metrics?: readonly Readonly<Record<string, unknown>>[] | null
}

const types = new Set(['NBIRTH', 'NDEATH', 'DBIRTH', 'DDEATH', 'NDATA', 'DDATA', 'NCMD', 'DCMD'])

/**
 * A stream of Sparkplug B messages, by the package `sparkplug-payload` (an optional peer: the constructor throws `UNSUPPORTED` when it is not
 * installed). Other messages, STATE among them, go to `onMalformed`; subscribe to what is wanted, such as `spBv1.0/+/DDATA/#`.
 *
 * ```ts
 * import { MqttSparkplugReceiver, StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'sparkplug', batchInterval: '1s' })
 * const messages = ssc.receiverStream(new MqttSparkplugReceiver('mqtt://localhost:1883', 'spBv1.0/plant/DDATA/#'))
 * messages.flatMap((message) => message.metrics.map((metric) => `${message.device} ${metric.name} ${metric.value}`)).print()
 * ```
 */
export class MqttSparkplugReceiver extends MqttDecodingReceiver<SparkplugMessage> {
  readonly #codec: { decodePayload(bytes: Uint8Array): DecodedPayload }

  constructor(
    brokerUrl: string | readonly string[],
    topics: string | readonly string[],
    options: DecodingOptions = {},
  ) {
    super(brokerUrl, topics, options)
    this.#codec = optionalPackage<SparkplugPackage>('sparkplug-payload', 'MqttSparkplugReceiver').get('spBv1.0')!
  }

  protected override decode(payload: Buffer, message: MqttMessage): SparkplugMessage {
    const [namespace, group, type, edgeNode, device = null, ...rest] = message.topic.split('/')
    if (
      namespace !== 'spBv1.0' ||
      type === undefined ||
      !types.has(type) ||
      edgeNode === undefined ||
      rest.length > 0
    ) {
      throw new Error('the topic is not one of Sparkplug B (spBv1.0/GROUP/TYPE/EDGE NODE[/DEVICE])')
    }
    const { timestamp, seq, metrics } = this.#codec.decodePayload(payload)
    return {
      group: group!,
      type,
      edgeNode,
      device,
      timestamp: wholeNumber(timestamp) as number | null,
      sequence: wholeNumber(seq) as number | null,
      metrics: (metrics ?? []).map((metric) => ({
        name: typeof metric.name === 'string' ? metric.name : null,
        alias: wholeNumber(metric.alias),
        type: typeof metric.type === 'string' ? metric.type : null,
        timestamp: wholeNumber(metric.timestamp) as number | null,
        value: plainValue(metric.value),
      })),
    }
  }
}

interface Long {
  readonly high: number
  readonly low: number
  toNumber(): number
  toString(): string
}

function isLong(value: unknown): value is Long {
  return typeof value === 'object' && value !== null && 'high' in value && 'low' in value && 'toNumber' in value
}

/** 64-bit numbers come as objects of the package `long`. */
function wholeNumber(value: unknown): number | bigint | null {
  if (typeof value === 'number') return value
  if (!isLong(value)) return null
  const number = value.toNumber()
  return Number.isSafeInteger(number) ? number : BigInt(value.toString())
}

function plainValue(value: unknown): SparkplugValue {
  if (value === undefined || value === null) return null
  if (isLong(value)) return wholeNumber(value)
  return Buffer.isBuffer(value) ? new Uint8Array(value) : (value as SparkplugValue)
}
