/** What a journal's events add up to: the blocks that wait, the batches that are not forgotten, the state saved last. */
import { assertNever } from '../errors.js'
import type { BlockInfo } from '../rdd/lineage.js'
import type { Time } from '../time.js'
import type { BlockFormat, JournalEvent } from './journal-events.js'
import type { LogPosition } from './log-reader.js'

export interface LoggedBlock {
  readonly block: BlockInfo
  readonly format: BlockFormat
  readonly position: LogPosition
}

export interface LoggedBatch {
  readonly blocks: readonly LoggedBlock[]
  /** `pending` until every output is done. */
  status: 'pending' | 'completed' | 'skipped'
  readonly segment: number
}

/** An event of which only the latest of its kind counts; kept so that it can be written again when its segment goes. */
export interface LatestEvent {
  readonly event: Exclude<JournalEvent, { type: 'blockAdded' }>
  readonly segment: number
}

/** A source sends again what it has no acknowledgement for, and holds no more than this without; older blocks are not kept for comparison. */
const MAX_TAIL_RECORDS = 300_000

export class JournalState {
  /** Blocks no batch has taken yet, in order of arrival. */
  readonly waiting: Map<string, LoggedBlock> = new Map<string, LoggedBlock>()
  /** Batches allocated and not forgotten, in order. */
  readonly batches: Map<Time, LoggedBatch> = new Map<Time, LoggedBatch>()
  /** By stream, the newest blocks whose acknowledgements are not known to have arrived. */
  readonly tails: Map<number, LoggedBlock[]> = new Map<number, LoggedBlock[]>()
  readonly latest: Map<string, LatestEvent> = new Map<string, LatestEvent>()
  readonly #tailRecords = new Map<number, number>()
  lastAllocated: Time | null = null
  /** The next number for a block's id. */
  nextBlock = 0

  /** Takes in an event that is in the log at `position`. */
  apply(event: JournalEvent, position: LogPosition): void {
    const { segment } = position
    switch (event.type) {
      case 'blockAdded': {
        const logged = { block: event.block, format: event.format, position }
        this.waiting.set(event.block.id, logged)
        this.nextBlock = Math.max(this.nextBlock, blockNumber(event.block) + 1)
        if (event.format === 'bytes') this.#addToTail(logged)
        if (event.acknowledged !== null) this.#acknowledge(event.block.streamId, event.acknowledged)
        return
      }
      case 'batchAllocated': {
        const blocks: LoggedBlock[] = []
        for (const id of event.blocks) {
          const block = this.waiting.get(id)
          if (block !== undefined) blocks.push(block)
          this.waiting.delete(id)
        }
        this.batches.set(event.time, { blocks, status: 'pending', segment })
        this.lastAllocated = event.time
        return
      }
      case 'batchCompleted':
        this.#setStatus(event.time, 'completed')
        return
      case 'batchSkipped':
        this.#setStatus(event.time, 'skipped')
        return
      case 'batchesForgotten':
        for (const time of this.batches.keys()) if (time < event.time) this.batches.delete(time)
        this.lastAllocated = Math.max(this.lastAllocated ?? event.lastAllocated, event.lastAllocated)
        this.latest.set('batchesForgotten', { event, segment })
        return
      case 'acknowledged':
        this.#acknowledge(event.streamId, event.through)
        return
      case 'started':
        this.latest.set('started', { event, segment })
        return
      case 'inputTaken':
        this.latest.set(`input ${event.operator}`, { event, segment })
        return
      case 'stateSaved':
        this.latest.set(`state ${event.operator}`, { event, segment })
        return
      default:
        assertNever(event)
    }
  }

  /** Batches that were begun and not finished, in order. */
  get pendingTimes(): Time[] {
    return [...this.batches].flatMap(([time, { status }]) => (status === 'pending' ? [time] : []))
  }

  /** The latest event under a key of `latest`. */
  latestOf<T extends JournalEvent['type']>(key: string): Extract<JournalEvent, { type: T }> | null {
    return (this.latest.get(key)?.event as Extract<JournalEvent, { type: T }> | undefined) ?? null
  }

  /** The oldest segment that holds a block or a batch still needed; `newest` when there is none. */
  oldestNeeded(newest: number): number {
    let oldest = newest
    const need = (block: LoggedBlock | undefined): void => {
      if (block !== undefined && block.position.segment < oldest) oldest = block.position.segment
    }
    // Blocks wait, and are allocated, in order of arrival: the first of each is the oldest.
    need(this.waiting.values().next().value)
    for (const tail of this.tails.values()) need(tail[0])
    for (const { blocks, segment } of this.batches.values()) {
      need(blocks[0])
      oldest = Math.min(oldest, segment)
    }
    return oldest
  }

  #setStatus(time: Time, status: LoggedBatch['status']): void {
    const batch = this.batches.get(time)
    if (batch !== undefined) batch.status = status
  }

  #acknowledge(streamId: number, through: number): void {
    const tail = this.tails.get(streamId) ?? []
    while (tail.length > 0 && blockNumber(tail[0]!.block) <= through) this.#dropFirst(streamId, tail)
  }

  #addToTail(logged: LoggedBlock): void {
    const { streamId } = logged.block
    let tail = this.tails.get(streamId)
    if (tail === undefined) {
      tail = []
      this.tails.set(streamId, tail)
    }
    tail.push(logged)
    let records = (this.#tailRecords.get(streamId) ?? 0) + logged.block.records
    this.#tailRecords.set(streamId, records)
    while (records - tail[0]!.block.records > MAX_TAIL_RECORDS) records = this.#dropFirst(streamId, tail)
  }

  #dropFirst(streamId: number, tail: LoggedBlock[]): number {
    const records = (this.#tailRecords.get(streamId) ?? 0) - tail.shift()!.block.records
    this.#tailRecords.set(streamId, records)
    return records
  }
}

/** The number in a block's id. */
export function blockNumber({ id }: BlockInfo): number {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}
