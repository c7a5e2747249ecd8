/** What a user said about an MQTT connection with every value present, checked once, where it was written. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import { type Duration, toMilliseconds } from '../time.js'
import { type BrokerAddress, parseBrokerUrl } from './broker-url.js'
import type { MessageId } from './message-ids.js'
import type { MqttConnectionOptions, MqttReceiverOptions, MqttTlsOptions, MqttWill } from './mqtt-options.js'
import { checkTopicName, parseTopicFilter } from './topic-filter.js'

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
