/** One value per key: where both sides of a shuffle that combines collect their pairs. Keys compare by value. */
import { keepShapes } from '../kept-shapes.js'
import { canonicalKey } from '../rdd/keys.js'
import type { Pair } from '../rdd/pair.js'

/** What is kept for a key. */
interface Combined {
  readonly key: unknown
  value: unknown
}

type Create = (value: unknown) => unknown
type Merge = (combined: unknown, value: unknown) => unknown

/** A new key costs an entry, a known one a single lookup. */
export class CombineTable {
  /** By keys that are no objects. Generated loops look here by themselves, and call `insert` for a key that is new. */
  readonly primitive: Map<unknown, Combined> = new Map()
  readonly #composite = new Map<string, Combined>()
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
      const entry = this.primitive.get(key)
      if (entry === undefined) this.insert(key, this.#create(value))
      else entry.value = this.#merge(entry.value, value)
    }
  }

  /** As `add`, for a key that is an object. */
  addComposite(key: object, value: unknown): void {
    const canonical = canonicalKey(key)
    const entry = this.#composite.get(canonical)
    if (entry === undefined) {
      this.#composite.set(canonical, { key, value: this.#create(value) })
      this.#inserted(this.#size)
    } else entry.value = this.#merge(entry.value, value)
  }

  /** A key that is no object and is not here yet. */
  insert(key: unknown, value: unknown): void {
    this.primitive.set(key, { key, value })
    this.#inserted(this.#size)
  }

  get #size(): number {
    return this.primitive.size + this.#composite.size
  }

  /** All pairs; the table is empty afterwards. */
  take(): Pair<unknown, unknown>[] {
    const pairs: Pair<unknown, unknown>[] = []
    for (const { key, value } of this.primitive.values()) pairs.push([key, value])
    for (const { key, value } of this.#composite.values()) pairs.push([key, value])
    this.primitive.clear()
    this.#composite.clear()
    return pairs
  }
}

const example = new CombineTable(
  () => null,
  () => null,
)
keepShapes(example, ...[0, 0.5, ''].map((value): Combined => ({ key: value, value })))
