/** What CONNECT asks a broker for, as MQTT.js takes it. */
import type { IClientOptions } from 'mqtt'
import { noTimer } from './mqtt-js.js'
import type { MqttWill } from './mqtt-options.js'
import type { ResolvedConnection } from './resolved-options.js'

/** How the session of a connection is asked for. */
export interface SessionRequest {
  readonly clean: boolean
  readonly expirySeconds: number
}

/** CONNECT properties only a receiver sends. */
export interface ConnectLimits {
  readonly receiveMaximum: number
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
}

/** The options of a client that connects once, with that session and those limits (null: none to tell). */
export function connectPacket(
  version: 4 | 5,
  clientId: string,
  options: ResolvedConnection,
  limits: ConnectLimits | null,
  session: SessionRequest,
): IClientOptions {
  const { username, password, will, keepaliveSeconds, connectTimeoutMs } = options
  return {
    clientId,
    protocolVersion: version,
    clean: session.clean,
    keepalive: keepaliveSeconds,
    connectTimeout: connectTimeoutMs,
    reconnectPeriod: 0,
    resubscribe: false,
    log: () => {},
    timerVariant: noTimer,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(will === null ? {} : { will: willOf(will, version) }),
    ...(version === 5 ? { properties: propertiesOf(options, limits, session) } : {}),
  }
}

function propertiesOf(
  { userProperties }: ResolvedConnection,
  limits: ConnectLimits | null,
  { expirySeconds }: SessionRequest,
): NonNullable<IClientOptions['properties']> {
  return {
    ...(expirySeconds > 0 ? { sessionExpiryInterval: expirySeconds } : {}),
    ...(limits === null ? {} : { receiveMaximum: limits.receiveMaximum, maximumPacketSize: limits.maximumPacketSize }),
    ...(limits !== null && limits.topicAliasMaximum > 0 ? { topicAliasMaximum: limits.topicAliasMaximum } : {}),
    ...(Object.keys(userProperties).length > 0 ? { userProperties: { ...userProperties } } : {}),
  }
}

function willOf(will: MqttWill, version: 4 | 5): NonNullable<IClientOptions['will']> {
  const { topic, payload, qos = 0, retain = false, delaySeconds, properties } = will
  const packet = { topic, payload: Buffer.from(payload as string), qos, retain }
  if (version === 4) return packet
  const { userProperties, correlationData, subscriptionIdentifiers, ...simple } = properties ?? {}
  return {
    ...packet,
    properties: {
      ...simple,
      ...(delaySeconds === undefined ? {} : { willDelayInterval: delaySeconds }),
      ...(correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData) }),
      ...(userProperties === undefined ? {} : { userProperties: byName(userProperties) }),
    },
  }
}

/** User properties as MQTT.js takes them: a name that comes more than once has several values. */
function byName(pairs: readonly (readonly [name: string, value: string])[]): Record<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [name, value] of pairs) found.set(name, [...(found.get(name) ?? []), value])
  return Object.fromEntries(found)
}
