/** A receiver's session with its broker: whether it goes on, what is subscribed in it, and which messages of QoS 2 are open. */
import type { BrokerAddress } from './broker-url.js'
import type { SessionRequest } from './connect-packet.js'
import type { Accepted, Subscription } from './connection-user.js'
import { type BlockHeader, EARLIER_SESSION, newSession } from './message-block.js'
import type { ResolvedReceiver } from './resolved-options.js'

/** What a new connection means for the session before it. */
export interface Continued {
  /** True when there was a connection before this one. */
  readonly hadSession: boolean
  readonly isOtherBroker: boolean
  /** True when the broker should have had the session, and has not. */
  readonly isLost: boolean
}

export class BrokerSession {
  readonly #options: ResolvedReceiver
  /** Packet ids of QoS 2 that are taken and not released, by the address of the broker whose session they belong to. */
  readonly #openIds = new Map<string, Uint8Array>()
  /** Where the last connection was accepted. */
  #lastAddress: string | null = null
  #session = EARLIER_SESSION
  #isSubscribed = false
  /** Connections made. */
  connections = 0
  /** The header of the blocks of this connection; null before the first. */
  header: BlockHeader | null = null

  constructor(options: ResolvedReceiver) {
    this.#options = options
  }

  /** Without a client id of its own a receiver begins with a clean session, but keeps it over the cuts of its own lifetime. */
  request(version: 4 | 5): SessionRequest {
    const { durable, sessionExpirySeconds } = this.#options
    if (durable) return { clean: false, expirySeconds: sessionExpirySeconds }
    return { clean: version === 4 || this.connections === 0, expirySeconds: sessionExpirySeconds }
  }

  accepted({ connection, version, isSessionPresent, address }: Accepted): Continued {
    const hadSession = this.connections > 0
    const isOtherBroker = this.#lastAddress !== null && this.#lastAddress !== address.text
    this.#lastAddress = address.text
    this.connections = connection
    if (isOtherBroker || !isSessionPresent) this.#isSubscribed = false
    if (!isSessionPresent) {
      this.#session = newSession()
      this.openIdsOf(address).fill(0)
    }
    this.header = { version, isSessionResumed: isSessionPresent, connection, session: this.#session }
    const isLost = !isSessionPresent && hadSession && (this.#options.durable || version === 5)
    return { hadSession, isOtherBroker, isLost }
  }

  /** What to subscribe on a connection, empty for nothing. */
  subscriptions({ isSessionPresent }: Accepted): readonly Subscription[] {
    if (this.#isSubscribed) return []
    const { topics, qos } = this.#options
    // A session from an earlier run may know other filters, so ours are asked for again, without its retained messages.
    const retainHandling = isSessionPresent ? 1 : this.#options.retainHandling
    return topics.map((filter) => ({ filter, qos, retainHandling }))
  }

  subscribed(): void {
    this.#isSubscribed = true
  }

  /** One byte for each packet id of that broker: not 0 while it is open. */
  openIdsOf({ text }: BrokerAddress): Uint8Array {
    let openIds = this.#openIds.get(text)
    if (openIds === undefined) {
      openIds = new Uint8Array(65_536)
      this.#openIds.set(text, openIds)
    }
    return openIds
  }

  /** Messages under these ids are not "taken before". The ids may be of any connection since; one too many only lets a message count as new. */
  forget(ids: readonly number[]): void {
    for (const openIds of this.#openIds.values()) for (const id of ids) openIds[id] = 0
  }
}
