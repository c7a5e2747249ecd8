/**
 * Recognises messages that come again by an id their user gives them, where packet ids cannot tell: a broker that fell back to
 * an old snapshot of itself, another broker after a fail-over. The newest ids are remembered, so many at least; and with a
 * checkpoint directory the messages they came with stay in the log, so that the next run knows them too.
 */
import { BlockReader, type MqttMessage } from './message-block.js'

/** What makes a message the same wherever and whenever it comes; null or undefined for a message that has no id. */
export type MessageId = (message: MqttMessage) => string | number | bigint | null | undefined

export class MessageIds {
  readonly #idOf: MessageId
  readonly #max: number
  readonly #onError: (error: unknown) => void
  /** Ids in two generations: when the younger is full, the older goes. */
  #older = new Set<unknown>()
  #younger = new Set<unknown>()
  #removed = 0
  #withoutId = 0

  /** Remembers the newest `max` ids at least, twice as many at most. `onError` gets what `idOf` throws. */
  constructor(idOf: MessageId, max: number, onError: (error: unknown) => void) {
    this.#idOf = idOf
    this.#max = max
    this.#onError = onError
  }

  /** Messages left out because their id was known. */
  get removed(): number {
    return this.#removed
  }

  /** Messages that had no id. */
  get withoutId(): number {
    return this.#withoutId
  }

  get max(): number {
    return this.#max
  }

  /** Takes in the messages of a block that an earlier run stored. */
  recovered(block: Uint8Array): void {
    const reader = new BlockReader(block)
    while (reader.next()) {
      const id = this.#of(reader)
      if (id !== null) this.#add(id)
    }
  }

  /**
   * Leaves out of a block the messages whose id is known, moving the others together, and remembers the ids of the others.
   * Returns where the messages kept end, and how many were left out.
   */
  compact(block: Buffer): { end: number; removed: number } {
    const reader = new BlockReader(block)
    let kept = -1
    let removed = 0
    while (reader.next()) {
      const { start, end } = reader
      if (kept < 0) kept = start
      const id = this.#of(reader)
      if (id === null) this.#withoutId++
      else if (this.#younger.has(id) || this.#older.has(id)) {
        removed++
        continue
      } else this.#add(id)
      // What is moved lies behind: the reader has passed it.
      if (kept !== start) block.copyWithin(kept, start, end)
      kept += end - start
    }
    this.#removed += removed
    return { end: kept < 0 ? block.length : kept, removed }
  }

  /** The messages of this block were not stored: they are new when they come again. */
  forget(block: Uint8Array): void {
    const reader = new BlockReader(block)
    while (reader.next()) {
      const id = this.#of(reader)
      this.#younger.delete(id)
      this.#older.delete(id)
    }
  }

  #of(message: MqttMessage): string | number | bigint | null {
    try {
      return this.#idOf(message) ?? null
    } catch (error) {
      this.#onError(error)
      return null
    }
  }

  #add(id: unknown): void {
    if (this.#younger.size >= this.#max) {
      this.#older = this.#younger
      this.#younger = new Set()
    }
    this.#younger.add(id)
  }
}
