/** How an MQTT receiver is doing, as its user and the listeners see it. */
import { Hold } from './tap-stream.js'

/** Why the socket is not read. */
export type HoldReason = 'memory' | 'unacknowledged' | 'rate' | 'backlog' | 'stopping'

/** How an MQTT receiver is doing: counts since it started. */
export interface MqttReceiverStatus {
  readonly isConnected: boolean
  /** The broker's address without user and password; null while not connected. */
  readonly broker: string | null
  readonly protocolVersion: 4 | 5 | null
  readonly connections: number
  /** Connections on which the broker had no session of ours although we had one: it may have dropped messages. */
  readonly sessionsLost: number
  readonly messages: number
  readonly bytes: number
  /** Messages received and not yet acknowledged to the broker. */
  readonly unacknowledged: number
  /** How many of those the receiver allows the broker (MQTT 5); the broker's own limit may be lower. */
  readonly receiveMaximum: number
  /** Bytes received and not yet stored. */
  readonly bufferedBytes: number
  /** Their bound: at it the socket is not read, and what comes waits in the broker, within the broker's own queue limit. */
  readonly maxBufferedBytes: number
  /** True while the socket is not read. */
  readonly isHeld: boolean
  /** Why it is not read: storage is behind, acknowledgements are, the rate limit, the broker does not take acknowledgements, the stop. */
  readonly heldBy: readonly HoldReason[]
  /** Milliseconds the socket was not read for one of these reasons but the rate. */
  readonly heldMs: number
  /** Messages the broker marked as sent before. */
  readonly redelivered: number
  /** Messages left out because they had been taken before: sent again by the broker, and known by packet id and content. */
  readonly repeated: number
  /** Messages marked as sent before that nothing here matches; only a broker that went back to an old state repeats any of these. */
  readonly unmatched: number
  /** Messages left out because they are stored already: `repeated`, and those known by their `messageId`. */
  readonly duplicatesRemoved: number
  /**
   * Messages stored that may be duplicates, for all that can be told here: marked as sent before and matching nothing, or sent
   * by a broker that went back to an older state of itself. With `messageId` only those without an id count.
   */
  readonly duplicatesPossible: number
  /** Connections to a broker, or a session, other than the one before, which may send again what came by that. Without `messageId`, that would not be noticed. */
  readonly otherSessions: number
  /** The broker's in-flight window where it is seen to be the limit, or null. */
  readonly windowLimit: number | null
  /** Milliseconds spent with the window full. */
  readonly windowLimitedMs: number
}

const names: readonly (readonly [number, HoldReason])[] = [
  [Hold.MEMORY, 'memory'],
  [Hold.UNACKNOWLEDGED, 'unacknowledged'],
  [Hold.RATE, 'rate'],
  [Hold.BACKLOG, 'backlog'],
  [Hold.STOPPING, 'stopping'],
]

/** The reasons in `holds`. */
export function holdReasons(holds: number): HoldReason[] {
  return names.filter(([bit]) => (holds & bit) !== 0).map(([, name]) => name)
}
