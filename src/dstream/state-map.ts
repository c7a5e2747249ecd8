/**
 * The states of one partition, in versions: each batch takes the version before, and changes it. The newest version is a
 * table that is changed in place, so a batch costs by its updates and not by its keys; an older version remembers what later
 * ones changed, as it was, and so can still be read, or recomputed from.
 */
import { MillraceError } from '../errors.js'
import { identityOf } from '../rdd/keys.js'
import { storableClass } from '../storage/record-format.js'
import { type Identified, StateTable } from './state-table.js'

/** The state of one key. Never changed in place: versions share it. */
export interface StateEntry {
  readonly key: unknown
  readonly state: unknown
  /** The batch that last updated or touched it. */
  readonly time: number
}

type IdentifiedEntry = StateEntry & Identified

/** Entries by the identity of their key; with `null`, the key had no state. */
type Changes = Map<unknown, IdentifiedEntry | null>

export class StateMap {
  /** Shared by all versions of one line; it is what the newest one holds. In order of update when `byTime`. */
  readonly #table: StateTable<IdentifiedEntry>
  readonly #byTime: boolean
  /** What the next version changed, as it is here. */
  #undo: Changes | null = null
  #next: StateMap | null = null
  /** The undo of the version before, to which this one, while it is the newest, adds what it changes. */
  #undoBefore: Changes | null = null
  /** The ids that came, or came again, in this version, in order; of use where entries are not in order of update anyway. */
  #came: Set<unknown> | null = null

  /** `byTime` keeps the entries in order of update, so that those too old are found without looking at the others. */
  constructor(byTime: boolean)
  /** @internal */
  constructor(byTime: boolean, table: StateTable<IdentifiedEntry>)
  constructor(byTime: boolean, table = new StateTable<IdentifiedEntry>()) {
    this.#byTime = byTime
    this.#table = table
  }

  /** True if the entries are kept in order of update. */
  get byTime(): boolean {
    return this.#byTime
  }

  /** The next version, equal to this one until it is changed; this one stays as it is. */
  copy(): StateMap {
    if (this.#next !== null) return new StateMap(this.#byTime, this.#detached())
    const copy = new StateMap(this.#byTime, this.#table)
    this.#undo = new Map()
    copy.#undoBefore = this.#undo
    this.#undoBefore = null
    this.#next = copy
    return copy
  }

  get(key: unknown): StateEntry | null {
    return this.#entryOf(identityOf(key))
  }

  /** Makes looking up these keys next cheaper. */
  warm(keys: readonly unknown[]): void {
    this.#table.warm(keys.map(identityOf))
  }

  #entryOf(id: unknown): IdentifiedEntry | null {
    for (let version: StateMap = this; version.#next !== null; version = version.#next) {
      const was = version.#undo!.get(id)
      if (was !== undefined) return was
    }
    return this.#table.get(id)
  }

  put(key: unknown, state: unknown, time: number): void {
    const id = identityOf(key)
    this.#note(id)
    const entry = { key, state, time, id }
    if (this.#byTime) this.#table.setLast(entry)
    // The first version of a line is saved whole: nobody asks what came in it.
    else if (this.#table.set(entry) && this.#undoBefore !== null) {
      this.#came ??= new Set()
      this.#came.add(id)
    }
  }

  remove(key: unknown): void {
    const id = identityOf(key)
    this.#note(id)
    this.#came?.delete(id)
    this.#table.delete(id)
  }

  /** The entries last updated before `time`, strictly. */
  olderThan(time: number): StateEntry[] {
    if (this.#next !== null || !this.#byTime) return this.entries().filter((entry) => entry.time < time)
    return this.#table.takeWhile((entry) => entry.time < time)
  }

  /** Every entry of this version. */
  entries(): StateEntry[] {
    return (this.#next === null ? this.#table : this.#detached()).toArray()
  }

  /** True if this version was made from `older`, directly or over versions between. */
  follows(older: StateMap): boolean {
    for (let version: StateMap | null = older; version !== null; version = version.#next)
      if (version === this) return true
    return false
  }

  /**
   * What differs from `older`, an earlier version or a copy of one: the keys that went, and the entries that came or changed,
   * those that came last and in order. A key that went and came again is in both.
   */
  changesSince(older: StateMap): { removed: unknown[]; changed: StateEntry[] } {
    const was = older.#undoneUpTo(this)
    if (was === null) return this.#differencesFrom(older.entries())
    const removed: unknown[] = []
    const changed: StateEntry[] = []
    const came = older.#cameUpTo(this)
    for (const [id, before] of was) {
      const isNew = came.has(id)
      const entry = isNew ? null : this.#entryOf(id)
      if (entry !== null) changed.push(entry)
      else if (before !== null) removed.push(before.key)
    }
    for (const id of came) {
      const entry = this.#entryOf(id)
      if (entry !== null) changed.push(entry)
    }
    // In order of update, as versions by time keep them.
    if (this.#byTime) changed.sort((a, b) => a.time - b.time)
    return { removed, changed }
  }

  /** As `changesSince`, where only the earlier entries are known: keys that have another place now went and came again. */
  #differencesFrom(earlier: readonly StateEntry[]): { removed: unknown[]; changed: StateEntry[] } {
    const places = new Map(earlier.map(({ key }, place) => [identityOf(key), place]))
    const removed: unknown[] = []
    const changed: StateEntry[] = []
    let at = 0
    for (const entry of this.entries()) {
      const place = places.get(identityOf(entry.key))
      if (place === undefined || place < at) {
        changed.push(entry)
        continue
      }
      while (at < place) removed.push(earlier[at++]!.key)
      if (earlier[at++]!.time < entry.time) changed.push(entry)
    }
    while (at < earlier.length) removed.push(earlier[at++]!.key)
    return { removed, changed }
  }

  /** True if the entries are in order of update. */
  get isByTime(): boolean {
    return this.#byTime
  }

  get size(): number {
    return this.#next === null ? this.#table.size : this.#detached().size
  }

  /** Remembers the entry as it was for the version before, unless a change before this one has. */
  #note(id: unknown): void {
    if (this.#next !== null) throw new MillraceError('INTERNAL', 'Only the newest version of a state map can change.')
    const undo = this.#undoBefore
    if (undo !== null && !undo.has(id)) undo.set(id, this.#table.get(id))
  }

  /** The ids that came in the versions after this one, up to `newer`, and stayed, in order. */
  #cameUpTo(newer: StateMap): Set<unknown> {
    const came = new Set<unknown>()
    for (let version = this.#next; version !== null; version = version.#next) {
      for (const id of version.#came ?? []) {
        came.delete(id)
        came.add(id)
      }
      if (version === newer) break
    }
    return came
  }

  /** What the versions after this one, up to `newer`, changed, as it was here; null if `newer` did not come from this one. */
  #undoneUpTo(newer: StateMap): Changes | null {
    const was: Changes = new Map()
    for (let version: StateMap = this; version !== newer; version = version.#next) {
      if (version.#next === null) return null
      for (const [id, entry] of version.#undo!) if (!was.has(id)) was.set(id, entry)
    }
    return was
  }

  /** The entries of this version in a table of their own. */
  #detached(): StateTable<IdentifiedEntry> {
    const table = this.#table.copy()
    const lines: Changes[] = []
    for (let version: StateMap = this; version.#next !== null; version = version.#next) lines.push(version.#undo!)
    for (const undo of lines.reverse()) {
      for (const [id, entry] of undo) {
        if (entry === null) table.delete(id)
        else table.set(entry)
      }
    }
    if (!this.#byTime) return table
    const sorted = new StateTable<IdentifiedEntry>()
    for (const entry of table.toArray().sort((a, b) => a.time - b.time)) sorted.set(entry)
    return sorted
  }
}

interface StoredStates {
  readonly byTime: boolean
  readonly keys: readonly unknown[]
  readonly states: readonly unknown[]
  readonly times: readonly number[]
}

storableClass(
  'StateMap',
  StateMap,
  (map): StoredStates => {
    const entries = map.entries()
    return {
      byTime: map.isByTime,
      keys: entries.map(({ key }) => key),
      states: entries.map(({ state }) => state),
      times: entries.map(({ time }) => time),
    }
  },
  ({ byTime, keys, states, times }) => {
    const map = new StateMap(byTime)
    for (let i = 0; i < keys.length; i++) map.put(keys[i], states[i], times[i]!)
    return map
  },
)
