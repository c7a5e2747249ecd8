/** What a receiver counts, over all its connections. */
import type { Acknowledgements } from './acknowledgements.js'
import type { Accepted } from './connection-user.js'
import type { DuplicateWatch } from './duplicate-watch.js'
import type { InFlightWindow } from './in-flight-window.js'
import { holdReasons, type MqttReceiverStatus } from './mqtt-receiver-status.js'
import type { PublishTap } from './publish-tap.js'
import type { RedeliveryFilter } from './redelivery-filter.js'
import type { ResolvedReceiver } from './resolved-options.js'
import type { TapStream } from './tap-stream.js'

/** The parts of an ingest that know how it is doing. */
export interface IngestParts {
  readonly options: ResolvedReceiver
  readonly filter: RedeliveryFilter
  readonly duplicates: DuplicateWatch
  readonly acknowledgements: Acknowledgements
  readonly window: InFlightWindow
}

/** The connection of the moment. */
export interface LiveConnection {
  readonly accepted: Accepted | null
  readonly stream: TapStream | null
  readonly tap: PublishTap | null
  readonly connections: number
  readonly unacknowledged: number
}

export class IngestCounters {
  readonly #parts: IngestParts
  #messages = 0
  /** Those of earlier connections. */
  #messagesBefore = 0
  #bytes = 0
  #heldMs = 0
  #redelivered = 0
  #repeated = 0
  sessionsLost = 0

  constructor(parts: IngestParts) {
    this.#parts = parts
  }

  /** A block is on its way to storage. */
  storing(messages: number, bytes: number): void {
    this.#messages += messages
    this.#bytes += bytes
  }

  /** A connection is gone: what it counted itself is kept. True if it brought new messages. */
  lost(stream: TapStream | null, tap: PublishTap | null): boolean {
    this.#heldMs += stream?.heldMs ?? 0
    this.#redelivered += tap?.redelivered ?? 0
    this.#repeated += tap?.repeated ?? 0
    const hasBroughtMessages = this.#messages > this.#messagesBefore
    this.#messagesBefore = this.#messages
    return hasBroughtMessages
  }

  status({ accepted, stream, tap, connections, unacknowledged }: LiveConnection): MqttReceiverStatus {
    const { options, filter, duplicates, acknowledgements, window } = this.#parts
    const heldBy = holdReasons(stream?.holds ?? 0)
    const { recognised, unmatched } = filter.metrics
    const repeated = this.#repeated + (tap?.repeated ?? 0)
    return {
      isConnected: accepted !== null,
      broker: accepted?.address.text ?? null,
      protocolVersion: accepted?.version ?? null,
      connections,
      sessionsLost: this.sessionsLost,
      messages: this.#messages,
      bytes: this.#bytes,
      unacknowledged,
      receiveMaximum: options.receiveMaximum,
      bufferedBytes: acknowledgements.bufferedBytes,
      maxBufferedBytes: options.maxBufferedBytes,
      isHeld: heldBy.length > 0,
      heldBy,
      heldMs: Math.round(this.#heldMs + (stream?.heldMs ?? 0)),
      redelivered: this.#redelivered + (tap?.redelivered ?? 0),
      repeated: repeated + recognised,
      unmatched,
      duplicatesRemoved: repeated + duplicates.removed,
      duplicatesPossible: duplicates.possible,
      otherSessions: duplicates.otherSessions,
      windowLimit: window.limit,
      windowLimitedMs: Math.round(window.limitedMs),
    }
  }
}
