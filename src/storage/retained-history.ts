/** What a journal keeps of the past beyond what a restart needs, so that batches can be run again: their blocks, and what was saved before them. */
import type { Time } from '../time.js'
import type { LatestEvent, LoggedBatch, SavedEvent } from './journal-state.js'

/** How much of the past is kept. */
export interface Retained {
  /** Input of batches from this time on. */
  readonly from: Time
  /** Batches after this time can be run again: state is kept as it was here, or before. */
  readonly replayAfter: Time
}

export class RetainedHistory {
  readonly #batches = new Map<Time, LoggedBatch & { readonly bytes: number }>()
  /** Under the keys of `JournalState.latest`, what was saved before the latest, oldest first. */
  readonly #earlier = new Map<string, LatestEvent<SavedEvent>[]>()
  /** From this time on no input is missing. */
  from: Time = Number.NEGATIVE_INFINITY

  /** Batches a restart does not need any more, in order. */
  get batches(): ReadonlyMap<Time, LoggedBatch> {
    return this.#batches
  }

  /** What was saved before the latest, under all keys. */
  get events(): LatestEvent<SavedEvent>[] {
    return [...this.#earlier.values()].flat()
  }

  /** What was saved under a key before the latest, oldest first. */
  earlier(key: string): readonly LatestEvent<SavedEvent>[] {
    return this.#earlier.get(key) ?? []
  }

  /** The oldest segment that holds something of a batch; null when there is none. */
  get oldestSegment(): number | null {
    const first = this.#batches.values().next().value
    if (first === undefined) return null
    return Math.min(first.segment, first.blocks[0]?.position.segment ?? first.segment)
  }

  keepBatch(time: Time, batch: LoggedBatch): void {
    this.#batches.set(time, { ...batch, bytes: batch.blocks.reduce((sum, { block }) => sum + block.bytes, 0) })
  }

  /** Keeps what is not the latest under its key any more, or is written again. */
  keepEvent(key: string, entry: LatestEvent<SavedEvent>): void {
    const others = this.earlier(key).filter(({ event }) => event.time !== entry.event.time)
    this.#earlier.set(
      key,
      [...others, entry].sort((a, b) => a.event.time - b.event.time),
    )
  }

  dropEvents(key: string): void {
    this.#earlier.delete(key)
  }

  /** The time after which batches took no more than so many bytes. */
  within(bytes: number): Time {
    let rest = 0
    for (const batch of this.#batches.values()) rest += batch.bytes
    let after = Number.NEGATIVE_INFINITY
    for (const [time, batch] of this.#batches) {
      if (rest <= bytes) break
      rest -= batch.bytes
      after = time
    }
    return after
  }

  /** Lets go of what is older. `latestTime` says when what is the latest under a key was saved. */
  forget({ from, replayAfter }: Retained, latestTime: (key: string) => Time): void {
    this.from = Math.max(this.from, from)
    for (const time of this.#batches.keys()) if (time < this.from) this.#batches.delete(time)
    for (const [key, entries] of this.#earlier) {
      // Of states the newest that a batch may begin with stays; of inputs those of batches that are kept.
      const isNeeded = ({ event }: LatestEvent<SavedEvent>, index: number): boolean =>
        event.type === 'inputTaken'
          ? event.time >= this.from
          : (entries[index + 1]?.event.time ?? latestTime(key)) > replayAfter
      const kept = entries.filter(isNeeded)
      if (kept.length === 0) this.#earlier.delete(key)
      else this.#earlier.set(key, kept)
    }
  }
}
