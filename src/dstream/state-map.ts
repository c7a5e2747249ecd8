/**
 * The states of one partition, in versions: each batch takes the version before, and changes it. The newest version is a
 * table that is changed in place, so a batch costs by its updates and not by its keys. Each version has a list of what it did
 * to the one before: read backwards, it gives the older version; forwards, what is to be saved.
 */
import { MillraceError } from '../errors.js'
import { EntryTable, type Identified, isSame } from '../rdd/entry-table.js'
import { identityOf } from '../rdd/keys.js'
import { storableClass } from '../storage/record-format.js'

/** The state of one key. */
export interface StateEntry {
  readonly key: unknown
  readonly state: unknown
  /** The batch that last updated or touched it. */
  readonly time: number
  /** Its place in the order in which keys came, from 1 on. */
  readonly born: number
}

/** An entry as the table has it. The version that made it may change it; once there is a next version, versions share it, and it stays. */
interface Entry extends Identified {
  readonly key: unknown
  state: unknown
  time: number
  readonly born: number
  /** The version that made it; once a later one has another entry in its place, or none, the number of that one, negative. */
  madeIn: number
}

/** What versions made of one another have in common: what the newest one holds, in order of update when they are `byTime`. */
interface Line {
  readonly table: EntryTable<Entry>
  /** How many keys have come. */
  births: number
  /** True once a key or a state was an object. */
  holdsObjects: boolean
}

/** What differs from an earlier version. A key that went and came again is in both. */
export interface StateDifference {
  readonly removed: readonly StateEntry[]
  /** What changed or came: in order of update where entries are kept so, else what came is last, in order of birth. */
  readonly updated: readonly StateEntry[]
}

/** What a version did: the entry that was there, null for none, and the one it put there, null for none; one pair after another. */
type Steps = (Entry | null)[]

export class StateMap {
  readonly #byTime: boolean
  readonly #line: Line
  /** The number of this version in its line. */
  readonly #number: number
  /** How many keys had come before this version. */
  readonly #birthsBefore: number
  /** Null in the first version of a line: nobody asks what it changed. */
  readonly #steps: Steps | null
  #next: StateMap | null = null

  /** `byTime` keeps the entries in order of update, so that those too old are found without looking at the others. */
  constructor(byTime: boolean)
  /** @internal */
  constructor(byTime: boolean, line: Line, number: number)
  constructor(byTime: boolean, line: Line = newLine(0), number = 0) {
    this.#byTime = byTime
    this.#line = line
    this.#number = number
    this.#birthsBefore = line.births
    this.#steps = number === 0 ? null : []
  }

  /** The entries in a map of their own. `births` is how many keys had come when they were taken. */
  static of(byTime: boolean, entries: Iterable<StateEntry>, births: number): StateMap {
    const map = new StateMap(byTime, newLine(births), 0)
    for (const entry of entries) map.putBack(entry)
    return map
  }

  /** True if the entries are kept in order of update. */
  get byTime(): boolean {
    return this.#byTime
  }

  /** The next version, equal to this one until it is changed; this one stays as it is. */
  copy(): StateMap {
    if (this.#next === null) {
      this.#next = new StateMap(this.#byTime, this.#line, this.#number + 1)
      return this.#next
    }
    return StateMap.of(this.#byTime, this.entries(), this.births).copy()
  }

  get(key: unknown): StateEntry | null {
    const id = identityOf(key)
    for (let version = this.#next; version !== null; version = version.#next) {
      const steps = version.#steps!
      for (let i = 0; i < steps.length; i += 2) if (isSame(idOf(steps, i), id)) return steps[i]!
    }
    return this.#line.table.get(id)
  }

  /** Makes looking up these keys next cheaper. */
  warm(keys: readonly unknown[]): void {
    this.#line.table.warm(keys.map(identityOf))
  }

  put(key: unknown, state: unknown, time: number): void {
    this.#put(key, state, time, null)
  }

  /** Puts an entry as another map had it: its key keeps its place in the order of keys. */
  putBack({ key, state, time, born }: StateEntry): void {
    this.#put(key, state, time, born)
    this.#line.births = Math.max(this.#line.births, born)
  }

  #put(key: unknown, state: unknown, time: number, bornBefore: number | null): void {
    this.#assertNewest()
    const { table } = this.#line
    if (typeof state === 'object' || typeof key === 'object') this.#line.holdsObjects = true
    const id = identityOf(key)
    const before = table.get(id)
    if (before !== null && before.madeIn === this.#number) {
      before.state = state
      before.time = time
      if (this.#byTime) table.setLast(before)
      return
    }
    const born = bornBefore ?? (before === null ? ++this.#line.births : before.born)
    const entry: Entry = { key, state, time, id, born, madeIn: this.#number }
    if (this.#byTime) table.setLast(entry)
    else table.set(entry)
    if (before !== null) before.madeIn = -this.#number
    this.#steps?.push(before, entry)
  }

  remove(key: unknown): void {
    this.#assertNewest()
    const { table } = this.#line
    const id = identityOf(key)
    const before = table.get(id)
    if (before === null) return
    table.delete(id)
    before.madeIn = -this.#number
    this.#steps?.push(before, null)
  }

  /** The entries last updated before `time`, strictly. */
  olderThan(time: number): StateEntry[] {
    if (this.#next !== null || !this.#byTime) return this.entries().filter((entry) => entry.time < time)
    return this.#line.table.takeWhile((entry) => entry.time < time)
  }

  /** Every entry of this version. */
  entries(): StateEntry[] {
    const newest = this.#line.table.toArray()
    if (this.#next === null) return newest
    const was = new Map<unknown, Entry | null>()
    for (const steps of this.#stepsUpTo(null)) {
      for (let i = 0; i < steps.length; i += 2) {
        const id = idOf(steps, i)
        if (!was.has(id)) was.set(id, steps[i]!)
      }
    }
    const entries = newest.filter(({ id }) => !was.has(id))
    for (const entry of was.values()) if (entry !== null) entries.push(entry)
    return entries.sort(this.#byTime ? inOrderOfTime : inOrderOfBirth)
  }

  /** True if this version was made from `older`, directly or over versions between. */
  follows(older: StateMap): boolean {
    for (let version: StateMap | null = older; version !== null; version = version.#next)
      if (version === this) return true
    return false
  }

  /** What differs from `older`, an earlier version or a copy of one. */
  changesSince(older: StateMap): StateDifference {
    if (older === this) return { removed: [], updated: [] }
    if (!this.follows(older)) return this.#differenceFrom(older.entries())
    const steps = older.#stepsUpTo(this)
    const birthsBefore = older.births
    const removed: Entry[] = []
    // In full length at once: what an array leaves behind as it grows is several times its size.
    const updated = new Array<Entry>(steps.reduce((sum, { length }) => sum + length / 2, 0))
    let length = 0
    const came: Entry[] = []
    for (const version of steps) {
      for (let i = 0; i < version.length; i += 2) {
        const before = version[i]!
        const after = version[i + 1]!
        if (after === null) {
          if (before!.born <= birthsBefore) removed.push(before!)
        } else if (after.madeIn >= 0 || -after.madeIn > this.#number) {
          if (this.#byTime || after.born <= birthsBefore) updated[length++] = after
          else came.push(after)
        }
      }
    }
    updated.length = length
    if (this.#byTime) updated.sort(inOrderOfTime)
    for (const entry of came.sort(inOrderOfBirth)) updated.push(entry)
    return { removed, updated }
  }

  /** As `changesSince`, where only the earlier entries are known. */
  #differenceFrom(earlier: readonly StateEntry[]): StateDifference {
    const left = new Map(earlier.map((entry) => [entry.born, entry]))
    const updated: StateEntry[] = []
    for (const entry of this.entries()) {
      const before = left.get(entry.born)
      if (before === undefined || before.time < entry.time) updated.push(entry)
      left.delete(entry.born)
    }
    return { removed: [...left.values()], updated }
  }

  /** How many keys had come by the end of this version. */
  get births(): number {
    return this.#next === null ? this.#line.births : this.#next.#birthsBefore
  }

  /** True if keys or states are objects, which can be changed in place. */
  get holdsObjects(): boolean {
    return this.#line.holdsObjects
  }

  get size(): number {
    return this.#next === null ? this.#line.table.size : this.entries().length
  }

  /** What the versions after this one did, up to `newer`, or all of them. */
  #stepsUpTo(newer: StateMap | null): Steps[] {
    const steps: Steps[] = []
    for (let version = this.#next; version !== null; version = version.#next) {
      steps.push(version.#steps!)
      if (version === newer) break
    }
    return steps
  }

  #assertNewest(): void {
    if (this.#next !== null) throw new MillraceError('INTERNAL', 'Only the newest version of a state map can change.')
  }
}

function newLine(births: number): Line {
  return { table: new EntryTable(), births, holdsObjects: false }
}

function idOf(steps: Steps, i: number): unknown {
  return (steps[i] ?? steps[i + 1])!.id
}

function inOrderOfBirth(a: StateEntry, b: StateEntry): number {
  return a.born - b.born
}

export function inOrderOfTime(a: StateEntry, b: StateEntry): number {
  return a.time - b.time
}

interface StoredStates {
  readonly byTime: boolean
  readonly births: number
  readonly born: readonly number[]
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
      byTime: map.byTime,
      births: map.births,
      born: entries.map(({ born }) => born),
      keys: entries.map(({ key }) => key),
      states: entries.map(({ state }) => state),
      times: entries.map(({ time }) => time),
    }
  },
  ({ byTime, births, born, keys, states, times }) => {
    const entries = born.map((born, i): StateEntry => ({ key: keys[i], state: states[i], time: times[i]!, born }))
    return StateMap.of(byTime, entries, births)
  },
)
