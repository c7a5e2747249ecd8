/**
 * A hash table for a million entries and more, in order, found by what identifies their key. A plain `Map` of that size
 * waits for memory several times at each look-up, one wait after the other; here those of many keys can overlap (`warm`), and
 * an entry that is not the one looked for is told by its hash, without touching it.
 *
 *   slots     hash, place + 1 │ 0, 0 │ hash, place + 1 │ …      open addressing, at most half full
 *   places    entry │ hole │ entry │ …                          in order; holes go when there are more of them than entries
 */
import { hashKey } from './keys.js'
import { mix } from './random.js'

/** What a table holds. `id` is primitive, the same for two keys exactly when they are equal. */
export interface Identified {
  readonly id: unknown
}

const slotsMin = 16

/** A table of fewer entries lies in the processor's caches as it is. */
const warmedMin = 50_000

export class EntryTable<E extends Identified> {
  #slots = new Int32Array(2 * slotsMin)
  #mask = slotsMin - 1
  #places: (E | null)[] = []
  #size = 0
  /** What was looked up last and its slot, -1 when slots have moved since: who changes an entry has just asked for it. */
  #lastId: unknown = null
  #lastSlot = -1
  /** What `warm` read, so that it is not left out as read for nothing. */
  #touched = 0

  get size(): number {
    return this.#size
  }

  get(id: unknown): E | null {
    const place = this.#slots[2 * this.#look(id) + 1]!
    return place === 0 ? null : this.#places[place - 1]!
  }

  /** Puts the entry in the place of the one with its id, or at the end when there is none; returns true then. */
  set(entry: E): boolean {
    const slot = this.#find(entry.id)
    const place = this.#slots[2 * slot + 1]!
    if (place === 0) this.#add(slot, entry)
    else this.#places[place - 1] = entry
    return place === 0
  }

  /** Puts the entry at the end, and takes out the one with its id. */
  setLast(entry: E): void {
    const slot = this.#find(entry.id)
    const place = this.#slots[2 * slot + 1]!
    if (place === 0) this.#add(slot, entry)
    else {
      this.#places[place - 1] = null
      this.#slots[2 * slot + 1] = this.#places.push(entry)
      this.#dropHoles()
    }
  }

  delete(id: unknown): void {
    let gap = this.#find(id)
    const slots = this.#slots
    const place = slots[2 * gap + 1]!
    if (place === 0) return
    this.#places[place - 1] = null
    this.#size--
    // What was put further on because this slot was taken moves back, so that it is still found.
    for (let at = (gap + 1) & this.#mask; slots[2 * at + 1] !== 0; at = (at + 1) & this.#mask) {
      const home = slots[2 * at]! & this.#mask
      if (((at - home) & this.#mask) < ((at - gap) & this.#mask)) continue
      slots[2 * gap] = slots[2 * at]!
      slots[2 * gap + 1] = slots[2 * at + 1]!
      gap = at
    }
    slots[2 * gap + 1] = 0
    this.#lastSlot = -1
    this.#dropHoles()
  }

  /**
   * Brings what is needed to look these up near to the processor. Each loop reads what the one before has found for all of
   * them, so that the processor waits for many at once.
   */
  warm(ids: readonly unknown[]): void {
    if (this.#size < warmedMin) return
    const slots = this.#slots
    const found: number[] = []
    for (let i = 0; i < ids.length; i++) {
      const hash = hashOf(ids[i])
      let slot = hash & this.#mask
      while (slots[2 * slot + 1] !== 0 && slots[2 * slot] !== hash) slot = (slot + 1) & this.#mask
      found.push(slots[2 * slot + 1]!)
    }
    const entries: E[] = []
    for (let i = 0; i < found.length; i++) {
      const entry = found[i] === 0 ? null : this.#places[found[i]! - 1]!
      if (entry !== null) entries.push(entry)
    }
    const texts: string[] = []
    for (let i = 0; i < entries.length; i++) {
      const { id } = entries[i]!
      if (typeof id === 'string') texts.push(id)
    }
    for (let i = 0; i < texts.length; i++) this.#touched = (this.#touched + texts[i]!.charCodeAt(0)) | 0
  }

  /** The entries from the first on, as long as `belongs` says yes. */
  takeWhile(belongs: (entry: E) => boolean): E[] {
    const taken: E[] = []
    for (const entry of this.#places) {
      if (entry === null) continue
      if (!belongs(entry)) break
      taken.push(entry)
    }
    return taken
  }

  /** The entries in an array of their own, in order. */
  toArray(): E[] {
    return this.#places.filter((entry) => entry !== null)
  }

  /** The slot that has the id, or else the free one where it would go: that of the last look-up if it was for the same id. */
  #find(id: unknown): number {
    return this.#lastSlot >= 0 && this.#lastId === id ? this.#lastSlot : this.#look(id)
  }

  #look(id: unknown): number {
    const slots = this.#slots
    const hash = hashOf(id)
    let slot = hash & this.#mask
    for (; ; slot = (slot + 1) & this.#mask) {
      const place = slots[2 * slot + 1]!
      if (place === 0 || (slots[2 * slot] === hash && isSame(this.#places[place - 1]!.id, id))) break
    }
    this.#lastId = id
    this.#lastSlot = slot
    return slot
  }

  #add(slot: number, entry: E): void {
    this.#slots[2 * slot] = hashOf(entry.id)
    this.#slots[2 * slot + 1] = this.#places.push(entry)
    if (++this.#size * 2 > this.#mask) this.#grow()
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Int32Array(2 * before.length)
    this.#mask = 2 * this.#mask + 1
    this.#lastSlot = -1
    for (let at = 0; at < before.length; at += 2) {
      if (before[at + 1] === 0) continue
      let slot = before[at]! & this.#mask
      while (this.#slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[2 * slot] = before[at]!
      this.#slots[2 * slot + 1] = before[at + 1]!
    }
  }

  /** Closes up the entries once there are more holes than entries. */
  #dropHoles(): void {
    if (this.#places.length < 2 * this.#size + slotsMin) return
    const moved = new Int32Array(this.#places.length)
    const places: (E | null)[] = []
    for (let place = 0; place < moved.length; place++) {
      const entry = this.#places[place]!
      if (entry !== null) moved[place] = places.push(entry)
    }
    for (let at = 1; at < this.#slots.length; at += 2)
      if (this.#slots[at] !== 0) this.#slots[at] = moved[this.#slots[at]! - 1]!
    this.#places = places
  }
}

/** The values in arrays of as many as are worth warming up together. */
export function* lookedUpTogether<T>(values: Iterable<T>): Generator<T[], void> {
  let some: T[] = []
  for (const value of values) {
    if (some.push(value) < 256) continue
    yield some
    some = []
  }
  if (some.length > 0) yield some
}

function hashOf(id: unknown): number {
  return mix(hashKey(id))
}

/** As keys of a Map compare: NaN is NaN. */
export function isSame(a: unknown, b: unknown): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b))
}
