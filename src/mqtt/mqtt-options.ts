/** What a user may say about an MQTT connection. */
import type { StorageLevel } from '../rdd/storage-level.js'
import type { Duration } from '../time.js'
import type { MessageId } from './message-ids.js'
import type { MqttMessageProperties } from './mqtt-properties.js'

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
