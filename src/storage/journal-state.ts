/** What a journal's events add up to: the blocks that wait, the batches that are not forgotten, the state saved last. */
import { assertNever } from '../errors.js'
import type { Time } from '../time.js'
import type { JournalEvent } from './journal-events.js'
import type { LogPosition } from './log-reader.js'
import { blockNumber, type LoggedBlock } from './logged-block.js'
import { RetainedHistory } from './retained-history.js'
import { StreamTail } from './stream-tail.js'

export interface LoggedBatch {
  readonly blocks: readonly LoggedBlock[]
  /** `pending` until every output is done. */
  status: 'pending' | 'completed' | 'skipped'
  readonly segment: number
}

type StateSaved = Extract<JournalEvent, { type: 'stateSaved' }>

/** An event of which only the latest of its kind counts; kept so that it can be written again when its segment goes. */
export interface LatestEvent<E = Exclude<JournalEvent, { type: 'blockAdded' }>> {
  readonly event: E
  readonly segment: number
}

/** An event that says how something was after a batch. Earlier ones may be kept beside the latest. */
export type SavedEvent = Extract<JournalEvent, { type: 'stateSaved' | 'inputTaken' }>

export class JournalState {
  /** Blocks no batch has taken yet, in order of arrival. */
  readonly waiting: Map<string, LoggedBlock> = new Map<string, LoggedBlock>()
  /** Batches allocated and not forgotten, in order. */
  readonly batches: Map<Time, LoggedBatch> = new Map<Time, LoggedBatch>()
  /** By stream, its newest blocks, for comparison with what the source sends again. */
  readonly tails: Map<number, StreamTail> = new Map<number, StreamTail>()
  readonly latest: Map<string, LatestEvent> = new Map<string, LatestEvent>()
  /** What is kept for `millrace replay`. */
  readonly history: RetainedHistory = new RetainedHistory()
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
        const { streamId } = event.block
        if (event.format === 'bytes') this.#tail(streamId).add(logged, event.remember ?? 0)
        if (event.acknowledged !== null) this.#tail(streamId).acknowledge(event.acknowledged)
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
        this.#forget(event)
        this.lastAllocated = Math.max(this.lastAllocated ?? event.lastAllocated, event.lastAllocated)
        this.latest.set('batchesForgotten', { event, segment })
        return
      case 'acknowledged':
        this.#tail(event.streamId).acknowledge(event.through)
        return
      case 'started':
        this.latest.set('started', { event, segment })
        return
      case 'inputTaken':
        this.#saved(`input ${event.operator}`, { event, segment })
        return
      case 'stateSaved':
        this.#saved(`state ${event.operator}`, { event, segment })
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
    for (const tail of this.tails.values()) need(tail.oldest)
    for (const { blocks, segment } of this.batches.values()) {
      need(blocks[0])
      oldest = Math.min(oldest, segment)
    }
    return Math.min(oldest, this.history.oldestSegment ?? oldest)
  }

  /** The state of an operator saved last, or last up to `time`; null when there is none. */
  savedState(operator: string, time: Time = Number.POSITIVE_INFINITY): StateSaved | null {
    const key = `state ${operator}`
    const latest = this.latestOf<'stateSaved'>(key)
    if (latest === null || latest.time <= time) return latest
    const before = this.history.earlier(key).filter(({ event }) => event.time <= time)
    return (before.at(-1)?.event as StateSaved | undefined) ?? null
  }

  /** Every saved state that is kept. */
  get savedStates(): StateSaved[] {
    const events = [...this.latest.values(), ...this.history.events].map(({ event }) => event)
    return events.filter((event) => event.type === 'stateSaved')
  }

  #saved(key: string, entry: LatestEvent<SavedEvent>): void {
    const latest = this.latest.get(key) as LatestEvent<SavedEvent> | undefined
    if (latest !== undefined && entry.event.time < latest.event.time) {
      this.history.keepEvent(key, entry)
      return
    }
    if (entry.event.keepsEarlier !== true) this.history.dropEvents(key)
    else if (latest !== undefined && latest.event.time < entry.event.time) this.history.keepEvent(key, latest)
    this.latest.set(key, entry)
  }

  #forget({ time, retained }: Extract<JournalEvent, { type: 'batchesForgotten' }>): void {
    for (const [batchTime, batch] of this.batches) {
      if (batchTime >= time) continue
      this.batches.delete(batchTime)
      if (retained !== undefined) this.history.keepBatch(batchTime, batch)
    }
    const latestTime = (key: string): Time => (this.latest.get(key)!.event as SavedEvent).time
    this.history.forget(retained ?? { from: time, replayAfter: time }, latestTime)
  }

  #setStatus(time: Time, status: LoggedBatch['status']): void {
    const batch = this.batches.get(time)
    if (batch !== undefined) batch.status = status
  }

  #tail(streamId: number): StreamTail {
    let tail = this.tails.get(streamId)
    if (tail === undefined) {
      tail = new StreamTail()
      this.tails.set(streamId, tail)
    }
    return tail
  }
}
