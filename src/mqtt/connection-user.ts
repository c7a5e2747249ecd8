/** What a connection to a broker is made for, receiving or publishing, and what it is told. */
import type { MillraceError } from '../errors.js'
import type { BrokerLimits } from './broker-limits.js'
import type { BrokerAddress } from './broker-url.js'
import type { SessionRequest } from './connect-packet.js'
import type { FrameReader, TapStream } from './tap-stream.js'

/** What the broker said when it accepted a connection. */
export interface Accepted {
  readonly version: 4 | 5
  /** Counts the connections made, from 1. */
  readonly connection: number
  readonly isSessionPresent: boolean
  readonly address: BrokerAddress
}

/** What a connection is for. Every call comes from the connection's own loop, one connection at a time. */
export interface ConnectionUser {
  /** Called before each attempt to reach `address`: the reader of its frames. It passes packets that are not its own to `push`. */
  open(version: 4 | 5, address: BrokerAddress, push: (packet: Buffer) => void): FrameReader
  /** Session wishes for the next attempt, which is to reach `address`. */
  session(version: 4 | 5, address: BrokerAddress): SessionRequest
  /** The broker accepted; the filters to subscribe are those of `subscriptions()` until it resolves. */
  accepted(accepted: Accepted, stream: TapStream): void
  /** Filters to subscribe on this connection, empty for none. */
  subscriptions(accepted: Accepted): readonly Subscription[]
  /**
   * The subscriptions are granted (also called when there were none to ask for). `limits` are what the broker takes; `warning` says that it
   * grants less than was asked for.
   */
  ready(limits: BrokerLimits, warning: MillraceError | null): void
  /** The connection accepted before is gone. True if it was of use: the next is tried soon, however short this one was. */
  lost(): boolean
  /** An attempt or a connection failed; there will be another. */
  failed(error: MillraceError, failure: Failure): void
  /** Nothing more will be tried. */
  fatal(error: MillraceError): void
}

/** An attempt to connect that failed, or a connection that ended. */
export interface Failure {
  /** Attempts and connections of no use since the last one that lasted or was of use. */
  readonly attempt: number
  /** How long the connection had been accepted, or null if it never was. */
  readonly acceptedMs: number | null
  readonly retryInMs: number
}

export interface Subscription {
  readonly filter: string
  readonly qos: 0 | 1 | 2
  readonly retainHandling: 0 | 1 | 2
}
