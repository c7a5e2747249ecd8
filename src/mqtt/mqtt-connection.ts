/** One connection to a broker after another: MQTT.js does CONNECT, TLS handshake, subscription and DISCONNECT; this keeps it connected. */
import type { IDisconnectPacket, MqttClient } from 'mqtt'
import { MillraceError } from '../errors.js'
import { type BrokerLimits, limitsOf } from './broker-limits.js'
import type { BrokerAddress } from './broker-url.js'
import { type ConnectLimits, connectPacket } from './connect-packet.js'
import {
  disconnected,
  disconnectPacket,
  protocolBroken,
  qosLowered,
  refused,
  subscribeRefused,
  subscribeUnanswered,
  takenOver,
  unheard,
  unreachable,
} from './connection-errors.js'
import type { Accepted, ConnectionUser, Subscription } from './connection-user.js'
import { loadMqttJs, type MqttJs } from './mqtt-js.js'
import { Reason, reasonText } from './reason-codes.js'
import type { ResolvedConnection } from './resolved-options.js'
import { TakeoverWatch } from './takeover-watch.js'
import { TapStream } from './tap-stream.js'

/** A connection that lasted this long begins the pauses anew. */
const LASTING_MS = 5000
const FIRST_DELAY_MS = 200

interface Ended {
  readonly error: MillraceError
  /** How long the broker had accepted the connection, or null if it never did. */
  readonly acceptedMs: number | null
  readonly isEndedByBroker: boolean
  readonly isFatal: boolean
  /** False when it was short and the user had nothing of it. */
  readonly wasOfUse: boolean
}

/**
 * Keeps one connection alive until `stop`: the addresses in turn, pauses that double up to the limit with jitter, MQTT 5 first and 3.1.1
 * when the broker refuses it. Each connection has an MQTT.js client of its own, so nothing of an old one can reach a new one.
 */
export class MqttConnection {
  readonly #options: ResolvedConnection
  readonly #clientId: string
  readonly #limits: ConnectLimits | null
  readonly #user: ConnectionUser
  /** Version to try, by address: null until the broker has shown that it refuses 5. */
  readonly #versions: (4 | 5)[]
  #connections = 0
  #client: MqttClient | null = null
  #stream: TapStream | null = null
  #isStopping = false
  #wake: (() => void) | null = null
  #loop: Promise<void> | null = null
  #disconnectExpirySeconds: number | null = null

  constructor(options: ResolvedConnection, clientId: string, limits: ConnectLimits | null, user: ConnectionUser) {
    this.#options = options
    this.#clientId = clientId
    this.#limits = limits
    this.#user = user
    this.#versions = options.addresses.map(() => options.protocolVersion ?? 5)
  }

  /** Starts connecting; what happens is told to the user of the connection. */
  start(): void {
    this.#loop = this.#run()
  }

  /** Disconnects in order and ends the loop. With `sessionExpirySeconds` the broker is told to keep the session that long instead. */
  async stop(sessionExpirySeconds: number | null = null): Promise<void> {
    this.#isStopping = true
    this.#disconnectExpirySeconds = sessionExpirySeconds
    this.#wake?.()
    const stream = this.#stream
    if (stream !== null) {
      if (this.#client?.connected === true) {
        stream.discard()
        this.#disconnect(this.#client)
      } else stream.destroy()
      const force = setTimeout(() => stream.destroy(), 1000)
      await this.#loop
      clearTimeout(force)
    }
    await this.#loop
  }

  /** Closes the connection there is and makes a new one. */
  reset(): void {
    this.#stream?.destroy()
  }

  async #run(): Promise<void> {
    const mqttJs = await loadMqttJs(this.#options, this.#clientId)
    let failures = 0
    const takeovers = new TakeoverWatch()
    let address = 0
    while (!this.#isStopping) {
      const version = this.#versions[address]!
      const ended = await this.#connect(address, version, mqttJs)
      if (this.#isStopping) return
      if (ended.isFatal) return this.#user.fatal(ended.error)
      const refusal = ended.error.details.reasonCode
      const isVersionRefused =
        ended.error.code === 'MQTT_REFUSED' && (refusal === Reason.UNSUPPORTED_PROTOCOL_VERSION || refusal === 1)
      if (isVersionRefused && version === 5 && this.#options.protocolVersion === null) {
        this.#versions[address] = 4
        continue
      }
      const fight = takeovers.ended(ended.acceptedMs, ended.isEndedByBroker)
      if (fight !== null) return this.#user.fatal(takenOver(fight, this.#clientId))
      failures = ended.wasOfUse ? 1 : failures + 1
      address = (address + 1) % this.#versions.length
      // A whole round of addresses is tried before the pause grows.
      const round = Math.floor((failures - 1) / this.#versions.length)
      const ceiling = Math.min(this.#options.reconnectMaxDelayMs, FIRST_DELAY_MS * 2 ** Math.min(round, 20))
      const delayMs = Math.round(ceiling * (0.5 + Math.random() / 2))
      this.#user.failed(ended.error, { attempt: failures, acceptedMs: ended.acceptedMs, retryInMs: delayMs })
      await this.#pause(delayMs)
    }
  }

  #connect(index: number, version: 4 | 5, mqttJs: MqttJs): Promise<Ended> {
    const address = this.#options.addresses[index]!
    return new Promise((resolve) => {
      let failure: MillraceError | null = null
      let acceptedAt: number | null = null
      const fail = (error: MillraceError): void => {
        failure ??= error
        stream.destroy()
      }
      let accepted: Accepted | null = null
      const reader = this.#user.open(version, address, (packet) => {
        // Messages may follow CONNACK in the same read, before MQTT.js has told anyone about it.
        const isSessionPresent = acceptedSession(packet)
        if (isSessionPresent !== null) {
          acceptedAt = Date.now()
          this.#connections += 1
          accepted = { version, connection: this.#connections, isSessionPresent, address }
          this.#user.accepted(accepted, stream)
        }
        // MQTT.js keeps what it is given, and these bytes are only lent.
        stream.push(Buffer.from(packet))
      })
      const stream = new TapStream({
        address,
        tls: this.#options.tls,
        openWebSocket: mqttJs.openWebSocket,
        reader,
        farewell: (error) => disconnectPacket(version, error),
      })
      this.#stream = stream
      stream.on('error', (error) => {
        failure ??= MillraceError.is(error) ? error : unreachable(address, error)
      })
      const client = mqttJs.createClient(
        stream,
        connectPacket(version, this.#clientId, this.#options, this.#limits, this.#user.session(version, address)),
      )
      this.#client = client
      let keepalive: NodeJS.Timeout | undefined
      client.on('connect', ({ properties }) => {
        if (stream.destroyed) return
        // The broker may ask for pings more often, or do without them; then ours only watch over the connection.
        const seconds = Math.min(properties?.serverKeepAlive || 65_535, this.#options.keepaliveSeconds)
        clearInterval(keepalive)
        keepalive = this.#keepAlive(seconds, stream, fail)
        const limits = limitsOf(properties)
        if (accepted !== null) this.#subscribe(client, version, this.#user.subscriptions(accepted), limits, fail)
      })
      client.on('disconnect', (packet) => {
        const code = packet.reasonCode ?? 0
        fail(
          code === Reason.SESSION_TAKEN_OVER
            ? takenOver(`said: ${reasonText(code, 5)}`, this.#clientId)
            : disconnected(code, saidOf(packet.properties), address),
        )
      })
      client.on('error', (error) => {
        // The stream's own errors are known already.
        if (failure !== null) return
        const { code } = error as { code?: unknown }
        const found =
          typeof code === 'number'
            ? this.#refused(code, version, address)
            : error.message === 'connack timeout'
              ? unreachable(address, new Error(`it did not answer within ${this.#options.connectTimeoutMs} ms`))
              : protocolBroken(Reason.MALFORMED_PACKET, address, error)
        if (found.code === 'MQTT_PROTOCOL_ERROR') stream.giveUp(found)
        else fail(found)
      })
      stream.on('close', () => {
        clearInterval(keepalive)
        client.end(true)
        this.#client = null
        this.#stream = null
        const wasUsed = acceptedAt !== null && this.#user.lost()
        const acceptedMs = acceptedAt === null ? null : Date.now() - acceptedAt
        resolve({
          error: failure ?? unreachable(address, new Error('the broker closed the connection')),
          acceptedMs,
          wasOfUse: wasUsed || (acceptedMs !== null && acceptedMs >= LASTING_MS),
          isEndedByBroker: stream.isEndedByBroker && failure === null,
          isFatal: failure?.code === 'MQTT_SESSION_TAKEN_OVER',
        })
      })
    })
  }

  #subscribe(
    client: MqttClient,
    version: 4 | 5,
    wanted: readonly Subscription[],
    limits: BrokerLimits,
    fail: (error: MillraceError) => void,
  ): void {
    if (wanted.length === 0) {
      this.#user.ready(limits, null)
      return
    }
    const map = Object.fromEntries(
      wanted.map((one) => [one.filter, version === 5 ? { qos: one.qos, rh: one.retainHandling } : { qos: one.qos }]),
    )
    client.subscribe(map, (error, _granted, packet) => {
      const codes = (packet?.granted ?? []) as number[]
      if (error === null) return this.#user.ready(limits, qosLowered(wanted, codes))
      const refused = wanted.flatMap((one, i) =>
        (codes[i] ?? 0) >= 0x80 ? [`${one.filter}: ${reasonText(codes[i]!, 5)}`] : [],
      )
      fail(refused.length === 0 ? subscribeUnanswered(error) : subscribeRefused(refused))
    })
  }

  /**
   * Pings the broker every third of the keepalive and gives up when nothing at all has come for one and a half. Any byte is a sign of
   * life, and a connection that we do not read (hold) is not held against the broker; MQTT.js would count only its own pings.
   */
  #keepAlive(seconds: number, stream: TapStream, fail: (error: MillraceError) => void): NodeJS.Timeout {
    const everyMs = Math.max(200, (seconds * 1000) / 3)
    let expectedAt = Date.now() + everyMs
    const timer = setInterval(() => {
      const now = Date.now()
      const isLate = now - expectedAt > everyMs
      expectedAt = now + everyMs
      stream.writeWithPing([])
      // After a blocked thread the broker's bytes may lie unread in the socket: look again next time.
      if (isLate || stream.holds !== 0) stream.lastReadAt = now
      else if (now - stream.lastReadAt > everyMs * 4.5) {
        fail(unheard(now - stream.lastReadAt, seconds))
      }
    }, everyMs)
    return timer.unref()
  }

  #disconnect(client: MqttClient): void {
    const expiry = this.#disconnectExpirySeconds
    if (client.options.protocolVersion === 5 && expiry !== null) {
      client.end(false, { reasonCode: 0, properties: { sessionExpiryInterval: expiry } })
    } else client.end()
  }

  #refused(code: number, version: 4 | 5, address: BrokerAddress): MillraceError {
    // MQTT.js reports its own findings about the broker's packets with the same kind of error.
    const isConnack = code < 0x80 || this.#client?.connected !== true
    return isConnack ? refused(code, version, address, this.#clientId) : protocolBroken(code, address)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (this.#isStopping) this.#wake()
    })
  }
}

/** What a DISCONNECT says beside its reason. */
function saidOf(properties: IDisconnectPacket['properties']): string | undefined {
  const { reasonString, serverReference } = properties ?? {}
  const other = serverReference === undefined ? [] : [`the server to use is ${serverReference}`]
  const said = [...(reasonString === undefined ? [] : [reasonString]), ...other]
  return said.length === 0 ? undefined : said.join(', ')
}

/** The session-present flag of a CONNACK that accepts; null for any other packet. */
function acceptedSession(packet: Buffer): boolean | null {
  if (packet[0] !== 0x20) return null
  let at = 1
  while (packet[at]! >= 0x80) at += 1
  return packet[at + 2] === 0 ? (packet[at + 1]! & 1) !== 0 : null
}
