/** One value per key: where both sides of a shuffle that combines collect their pairs. Keys compare by value. */
import { keepShapes } from '../kept-shapes.js'
import { EntryTable } from '../rdd/entry-table.js'
import { canonicalKey } from '../rdd/keys.js'
import type { Pair } from '../rdd/pair.js'

/** What is kept for a key that is no object. */
interface Combined {
  /** The key. */
  readonly id: unknown
  value: unknown
}

/** What is kept for an object, under a text that equal ones have. */
interface Composite {
  readonly id: string
  readonly key: object
  value: unknown
}

type Create = (value: unknown) => unknown
type Merge = (combined: unknown, value: unknown) => unknown

/** A new key costs an entry, a known one a single lookup. */
export class CombineTable {
  // Generated loops look here by themselves, and call `insert` for a key that is new.
  /** By texts: text that was just made has no hash yet, and is found here in two thirds of the time that a Map takes. */
  readonly texts: EntryTable<Combined> = new EntryTable()
  /** By other keys that are no objects. */
  readonly primitive: Map<unknown, Combined> = new Map()
  readonly #composite = new EntryTable<Composite>()
  readonly #create: Create
  readonly #merge: Merge
  readonly #inserted: (keys: number) => void

  /** `inserted` hears of every new key, and how many there are now; it may take the pairs. */
  constructor(create: Create, merge: Merge, inserted: (keys: number) => void = () => {}) {
    this.#create = create
    this.#merge = merge
    this.#inserted = inserted
  }

  add(key: unknown, value: unknown): void {
    if (typeof key === 'object' && key !== null) this.addComposite(key, value)
    else {
      const entry = typeof key === 'string' ? this.texts.get(key) : this.primitive.get(key)
      if (entry === undefined || entry === null) this.insert(key, this.#create(value))
      else entry.value = this.#merge(entry.value, value)
    }
  }

  /** As `add`, for a key that is an object. */
  addComposite(key: object, value: unknown): void {
    const id = canonicalKey(key)
    const entry = this.#composite.get(id)
    if (entry === null) {
      this.#composite.set({ id, key, value: this.#create(value) })
      this.#inserted(this.#size)
    } else entry.value = this.#merge(entry.value, value)
  }

  /** A key that is no object and is not here yet. */
  insert(key: unknown, value: unknown): void {
    const entry: Combined = { id: key, value }
    if (typeof key === 'string') this.texts.set(entry)
    else this.primitive.set(key, entry)
    this.#inserted(this.#size)
  }

  get #size(): number {
    return this.texts.size + this.primitive.size + this.#composite.size
  }

  /** All pairs; the table is empty afterwards. */
  take(): Pair<unknown, unknown>[] {
    const pairs: Pair<unknown, unknown>[] = []
    for (const { id, value } of this.texts.toArray()) pairs.push([id, value])
    for (const { id, value } of this.primitive.values()) pairs.push([id, value])
    for (const { key, value } of this.#composite.toArray()) pairs.push([key, value])
    this.texts.clear()
    this.primitive.clear()
    this.#composite.clear()
    return pairs
  }
}

const example = new CombineTable(
  () => null,
  () => null,
)
keepShapes(example, ...[0, 0.5, ''].map((value): Combined => ({ id: value, value })))
