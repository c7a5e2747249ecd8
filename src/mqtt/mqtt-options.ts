/** What a user may say about an MQTT connection, checked once, where it is written. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import type { StorageLevel } from '../rdd/storage-level.js'
import { type Duration, toMilliseconds } from '../time.js'
import { type BrokerAddress, parseBrokerUrl } from './broker-url.js'
import type { MessageId } from './message-ids.js'
import type { MqttMessageProperties } from './mqtt-properties.js'
import { checkTopicName, parseTopicFilter } from './topic-filter.js'

/** TLS settings, as Node's `tls.connect` takes them. Certificates are verified unless `rejectUnauthorized` is false. */
export interface MqttTlsOptions {
  /** Certificate authorities to trust instead of the system's: PEM text or bytes. */
  readonly ca?: string | Buffer | (string | Buffer)[]
  /** Client certificate and its key (mutual TLS): PEM text or bytes. */
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** Client certificate and key in one PKCS#12 file. */
  readonly pfx?: Buffer
  readonly passphrase?: string
  /** The name asked for (SNI) and checked in the broker's certificate. @default the host of the URL */
  readonly servername?: string
  /** Application protocols to offer, such as `['mqtt']` or AWS's `['x-amzn-mqtt-ca']`. */
  readonly ALPNProtocols?: string[]
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** @default true */
  readonly rejectUnauthorized?: boolean
}

/** The message the broker publishes when this client is lost, not when it stops in order. */
export interface MqttWill {
  readonly topic: string
  readonly payload: string | Buffer
  /** @default 0 */
  readonly qos?: 0 | 1 | 2
  /** @default false */
  readonly retain?: boolean
  /** Seconds the broker waits with it for the client to come back (MQTT 5). @default 0 */
  readonly delaySeconds?: number
  /** Properties of the message (MQTT 5). */
  readonly properties?: MqttMessageProperties
}

/** Settings every MQTT connection has; names are those of MQTT.js. */
export interface MqttConnectionOptions {
  /** The client's name on the broker. With one, the session is durable: the broker keeps messages while the client is away. */
  readonly clientId?: string
  readonly username?: string
  readonly password?: string | Buffer
  /** 5 or 4 (which is 3.1.1). @default 5, and 4 when the broker refuses 5 */
  readonly protocolVersion?: 4 | 5
  /** Seconds between pings when nothing else is sent. @default 60 */
  readonly keepalive?: number
  /** How long a connection may take until the broker has accepted it. @default '30s' */
  readonly connectTimeout?: Duration
  /** The longest pause between two attempts to connect; pauses double up to it and are jittered. @default '30s' */
  readonly reconnectMaxDelay?: Duration
  readonly will?: MqttWill
  readonly tls?: MqttTlsOptions
  /** Headers of the HTTP upgrade, for `ws` and `wss`. */
  readonly wsHeaders?: Readonly<Record<string, string>>
  /** User properties of CONNECT (MQTT 5). */
  readonly userProperties?: Readonly<Record<string, string>>
}

/** Settings of an `MqttReceiver`. */
export interface MqttReceiverOptions extends MqttConnectionOptions {
  /** The highest quality of service asked for. @default 1 */
  readonly qos?: 0 | 1 | 2
  /** True: begin with no session. False: go on with the session of `clientId`. @default false with a client id, otherwise true */
  readonly clean?: boolean
  /** Seconds the broker keeps the session after the connection is lost (MQTT 5). @default 86400 with a client id, otherwise 300 */
  readonly sessionExpiryInterval?: number
  /** Messages of QoS 1 and 2 the broker may send before it waits for acknowledgements (MQTT 5). @default from `maxBufferedBytes`, 1 KiB a message, at most 65535 */
  readonly receiveMaximum?: number
  /** The largest packet taken, in bytes. A larger one closes the connection with a named error. @default 268435455, MQTT's own limit, but no more than 4 × `maxBufferedBytes` */
  readonly maximumPacketSize?: number
  /** Topic aliases the broker may use (MQTT 5); 0 for none. @default 0 */
  readonly topicAliasMaximum?: number
  /** Retained messages at subscription: 0 send, 1 send if the subscription is new, 2 do not send (MQTT 5). @default 0 */
  readonly retainHandling?: 0 | 1 | 2
  /** Bytes received and not yet stored at which the socket is not read any more. @default 67108864 */
  readonly maxBufferedBytes?: number
  /**
   * The longest a read waits for more messages while many come, which makes them cheaper; at low rates reads never wait.
   * Adds at most this to a message's latency. 0 turns it off. @default '10ms'
   */
  readonly coalesce?: Duration
  /**
   * What makes a message the same when it comes again: a message whose id is known is acknowledged and left out. For what packet
   * ids cannot tell: a broker that fell back to an old snapshot, another broker after a fail-over. It is called once for every
   * message, on the connection: keep it cheap. Undefined or null for a message without an id; when it throws, that is reported,
   * and the message has none.
   */
  readonly messageId?: MessageId
  /** How many of the newest ids are remembered at least; with a checkpoint directory the log keeps so many messages, for the next run. @default 100000 */
  readonly messageIdMemory?: number
  /** How blocks are kept. @default MEMORY_AND_DISK_2, as in Spark's MQTT receivers */
  readonly storageLevel?: StorageLevel
}

/** Connection settings with every value present. */
export interface ResolvedConnection {
  readonly addresses: readonly BrokerAddress[]
  readonly clientId: string | null
  readonly username: string | null
  readonly password: string | Buffer | null
  readonly protocolVersion: 4 | 5 | null
  readonly keepaliveSeconds: number
  readonly connectTimeoutMs: number
  readonly reconnectMaxDelayMs: number
  readonly will: MqttWill | null
  readonly tls: MqttTlsOptions
  readonly wsHeaders: Readonly<Record<string, string>>
  readonly userProperties: Readonly<Record<string, string>>
}

/** Receiver settings with every value present. */
export interface ResolvedReceiver extends ResolvedConnection {
  readonly topics: readonly string[]
  readonly qos: 0 | 1 | 2
  readonly durable: boolean
  readonly sessionExpirySeconds: number
  readonly receiveMaximum: number
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
  readonly retainHandling: 0 | 1 | 2
  readonly maxBufferedBytes: number
  readonly coalesceMs: number
  readonly messageId: MessageId | null
  readonly messageIdMemory: number
}

const connectionKeys = [
  'clientId',
  'username',
  'password',
  'protocolVersion',
  'keepalive',
  'connectTimeout',
  'reconnectMaxDelay',
  'will',
  'tls',
  'wsHeaders',
  'userProperties',
]
const receiverKeys = [
  ...connectionKeys,
  'qos',
  'clean',
  'sessionExpiryInterval',
  'receiveMaximum',
  'maximumPacketSize',
  'topicAliasMaximum',
  'retainHandling',
  'maxBufferedBytes',
  'coalesce',
  'messageId',
  'messageIdMemory',
  'storageLevel',
]
/** What other MQTT libraries and Spark's connectors call the same thing. */
const otherNames: Readonly<Record<string, string>> = {
  cleanSession: 'clean',
  cleanStart: 'clean',
  clean_session: 'clean',
  clean_start: 'clean',
  keepAlive: 'keepalive',
  connectionTimeout: 'connectTimeout',
  mqttVersion: 'protocolVersion',
  QoS: 'qos',
  client_id: 'clientId',
  user: 'username',
  maxInflight: 'receiveMaximum',
  sessionExpiry: 'sessionExpiryInterval',
  reconnectPeriod: 'reconnectMaxDelay',
  ca: 'tls: { ca }',
  cert: 'tls: { cert }',
  key: 'tls: { key }',
  rejectUnauthorized: 'tls: { rejectUnauthorized }',
}

/** Checks a receiver's arguments and fills in the defaults. Throws `MQTT_INVALID_URL`, `MQTT_INVALID_TOPIC_FILTER`, `MQTT_INVALID_OPTION` or `MQTT_CLIENT_ID_REQUIRED`. */
export function resolveReceiver(
  brokerUrl: string | readonly string[],
  topics: string | readonly string[],
  options: MqttReceiverOptions,
): ResolvedReceiver {
  const connection = resolveConnection(brokerUrl, options, receiverKeys)
  if (typeof topics !== 'string' && !Array.isArray(topics)) {
    throw new MillraceError(
      'MQTT_INVALID_TOPIC_FILTER',
      `A receiver needs a topic filter or an array of them, not ${kindOf(topics)}.`,
    )
  }
  const filters: readonly string[] = typeof topics === 'string' ? [topics] : [...topics]
  if (filters.length === 0) {
    throw new MillraceError('MQTT_INVALID_TOPIC_FILTER', 'No topic filter was given; a receiver needs at least one.')
  }
  for (const filter of filters) parseTopicFilter(filter)
  const named = connection.clientId !== null
  if (options.clean !== undefined && typeof options.clean !== 'boolean')
    throw invalidOption('clean', `Expected true or false, not ${kindOf(options.clean)}.`)
  if (!named && (options.clean === false || options.sessionExpiryInterval !== undefined)) {
    throw new MillraceError(
      'MQTT_CLIENT_ID_REQUIRED',
      'A session that outlives the connection (clean: false, or sessionExpiryInterval) needs a clientId: without one the broker cannot tell who comes back. Set clientId to a name no other client uses.',
    )
  }
  const durable = options.clean === undefined ? named : !options.clean
  const maxBufferedBytes = integer(options, 'maxBufferedBytes', 1024, 2 ** 40, 64 * 1024 * 1024)
  return {
    ...connection,
    topics: filters,
    qos: oneOf(options, 'qos', [0, 1, 2], 1),
    durable,
    sessionExpirySeconds: integer(options, 'sessionExpiryInterval', 0, 0xffff_ffff, durable ? 86_400 : 300),
    receiveMaximum: integer(
      options,
      'receiveMaximum',
      1,
      65_535,
      Math.max(1, Math.min(65_535, Math.floor(maxBufferedBytes / 1024))),
    ),
    maximumPacketSize: integer(
      options,
      'maximumPacketSize',
      128,
      268_435_460,
      Math.min(268_435_460, 4 * Math.max(maxBufferedBytes, 1024 * 1024)),
    ),
    topicAliasMaximum: integer(options, 'topicAliasMaximum', 0, 65_535, 0),
    retainHandling: oneOf(options, 'retainHandling', [0, 1, 2], 0),
    maxBufferedBytes,
    coalesceMs: duration(options, 'coalesce', 10),
    messageId: functionOrNull(options, 'messageId'),
    messageIdMemory: integer(options, 'messageIdMemory', 1, 100_000_000, 100_000),
  }
}

/** Checks the part every MQTT connection has. `keys` are the options that may be given. */
export function resolveConnection(
  brokerUrl: string | readonly string[],
  options: MqttConnectionOptions,
  keys: readonly string[] = connectionKeys,
): ResolvedConnection {
  assertMqttOptions(options)
  for (const key of Object.keys(options)) {
    if (keys.includes(key)) continue
    const known = otherNames[key] ?? keys.find((one) => one.toLowerCase() === key.toLowerCase())
    throw invalidOption(key, known === undefined ? `Known options: ${keys.join(', ')}` : `Did you mean ${known}?`)
  }
  const urls = (Array.isArray(brokerUrl) ? brokerUrl : [brokerUrl]).map(parseBrokerUrl)
  const first = urls[0]
  if (first === undefined) throw new MillraceError('MQTT_INVALID_URL', 'No broker URL was given.')
  const clientId = options.clientId ?? first.clientId
  if (clientId !== null && (typeof clientId !== 'string' || clientId === '' || Buffer.byteLength(clientId) > 65_535)) {
    throw invalidOption('clientId', `Expected a text of 1 to 65,535 bytes, not ${JSON.stringify(clientId)}.`)
  }
  if (options.will !== undefined) {
    checkTopicName(options.will.topic)
    oneOf(options.will, 'qos', [0, 1, 2], 0)
    integer(options.will, 'delaySeconds', 0, 0xffff_ffff, 0)
  }
  const username = options.username ?? first.username
  const password = options.password ?? first.password
  if (username !== null && typeof username !== 'string') {
    throw invalidOption('username', `Expected a text, not ${kindOf(username)}.`)
  }
  // The value is never shown.
  if (password !== null && typeof password !== 'string' && !Buffer.isBuffer(password)) {
    throw invalidOption('password', `Expected a text or a Buffer, not a ${typeof password}.`)
  }
  // MQTT 5 has passwords without a name; the encoder of MQTT.js has not.
  if (password !== null && username === null) {
    throw invalidOption('password', "It needs a username beside it; for a broker that looks at the password alone, ''.")
  }
  const keepaliveSeconds = integer(options, 'keepalive', 1, 65_535, 60)
  return {
    addresses: urls.map((url) => url.address),
    clientId,
    username,
    password,
    protocolVersion: options.protocolVersion === undefined ? null : oneOf(options, 'protocolVersion', [4, 5], 5),
    keepaliveSeconds,
    connectTimeoutMs: duration(options, 'connectTimeout', 30_000),
    reconnectMaxDelayMs: duration(options, 'reconnectMaxDelay', 30_000),
    will: options.will ?? null,
    tls: options.tls ?? {},
    wsHeaders: options.wsHeaders ?? {},
    userProperties: options.userProperties ?? {},
  }
}

/** Throws `MQTT_INVALID_OPTION` when what should be options is no object. */
function assertMqttOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return
  throw new MillraceError('MQTT_INVALID_OPTION', `MQTT options are an object, not ${kindOf(options)}.`)
}

function invalidOption(name: string, rule: string): MillraceError {
  return new MillraceError('MQTT_INVALID_OPTION', `The MQTT option ${name} is wrong. ${rule}`, {
    details: { option: name },
  })
}

function functionOrNull(options: MqttReceiverOptions, name: 'messageId'): MessageId | null {
  const value = options[name] ?? null
  if (value === null || typeof value === 'function') return value
  throw invalidOption(name, `Expected a function of a message, not ${JSON.stringify(value)}.`)
}

function integer(options: object, name: string, min: number, max: number, fallback: number): number {
  const value = (options as Record<string, unknown>)[name] ?? fallback
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalidOption(name, `Expected a whole number from ${min} to ${max}, not ${String(value)}.`)
  }
  return value as number
}

function oneOf<const N extends number>(options: object, name: string, allowed: readonly N[], fallback: N): N {
  const value = (options as Record<string, unknown>)[name] ?? fallback
  if (!(allowed as readonly unknown[]).includes(value)) {
    throw invalidOption(name, `Expected one of ${allowed.join(', ')}, not ${String(value)}.`)
  }
  return value as N
}

function duration(options: object, name: string, fallback: number): number {
  const value = (options as Record<string, unknown>)[name]
  if (value === undefined) return fallback
  try {
    return toMilliseconds(value as Duration)
  } catch (error) {
    throw new MillraceError('MQTT_INVALID_OPTION', `The MQTT option ${name} is wrong. ${(error as Error).message}`, {
      cause: error,
      details: { option: name },
    })
  }
}
