/**
 * Saved states of `mapWithState`. Each key has a number, which says how many keys had come when it came; a state that changed is saved
 * under that number alone, so that layers are laid over one another without a look at a key.
 *
 *   the whole, and in a layer what came     StateColumns with keys
 *   in a layer, what changed                StateColumns without
 *   in a layer, what went                   GoneStates
 */
import { ChunkedRecords } from '../rdd/chunked-records.js'
import type { Time } from '../time.js'
import type { DirectoryHandle } from './directory-handle.js'
import { NumberTable } from './number-table.js'
import { CHUNK_RECORDS, createPartition, type EncodedChunk, readPartition } from './partition-file.js'
import { storableClass } from './record-format.js'
import { serializeRecords } from './record-serializer.js'

/** Some states, one after another in every column. */
export class StateColumns {
  readonly numbers: Uint32Array | Float64Array
  /** Null where each stays as it is. */
  readonly keys: readonly unknown[] | null
  readonly states: readonly unknown[]
  /** One for all of them, or one each. */
  readonly times: Time | Float64Array

  constructor(
    numbers: Uint32Array | Float64Array,
    keys: readonly unknown[] | null,
    states: readonly unknown[],
    times: Time | Float64Array,
  ) {
    this.numbers = numbers
    this.keys = keys
    this.states = states
    this.times = times
  }

  timeOf(row: number): Time {
    return typeof this.times === 'number' ? this.times : this.times[row]!
  }
}

/** Puts states into columns, one after another. */
export class ColumnsWriter {
  readonly #hasKeys: boolean
  readonly #capacity: number
  readonly #numbers: Float64Array
  readonly #times: Float64Array
  #keys: unknown[] = []
  #states: unknown[] = []
  #length = 0
  #largest = 0
  #hasOneTime = true

  /** Without keys each stays as it is. `capacity` is how many there may be at a time. */
  constructor(hasKeys: boolean, capacity: number) {
    this.#hasKeys = hasKeys
    this.#capacity = capacity
    this.#numbers = new Float64Array(capacity)
    this.#times = new Float64Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  get isFull(): boolean {
    return this.#length === this.#capacity
  }

  add(number: number, key: unknown, state: unknown, time: Time): void {
    const row = this.#length++
    if (row === 0) this.#begin()
    this.#numbers[row] = number
    if (number > this.#largest) this.#largest = number
    if (this.#hasKeys) this.#keys[row] = key
    this.#states[row] = state
    this.#times[row] = time
    if (time !== this.#times[0]) this.#hasOneTime = false
  }

  #begin(): void {
    this.#largest = 0
    this.#hasOneTime = true
    // In full length at once: arrays that grow leave several times their size to be collected.
    this.#states = new Array(this.#capacity)
    if (this.#hasKeys) this.#keys = new Array(this.#capacity)
  }

  /** What was added since the last time. */
  take(): StateColumns {
    const length = this.#length
    const [keys, states] = [this.#keys, this.#states]
    this.#length = 0
    states.length = length
    if (this.#hasKeys) keys.length = length
    const numbers = this.#numbers.subarray(0, length)
    return new StateColumns(
      this.#largest <= 0xffff_ffff ? new Uint32Array(numbers) : numbers.slice(),
      this.#hasKeys ? keys : null,
      states,
      this.#hasOneTime ? (this.#times[0] ?? 0) : this.#times.slice(0, length),
    )
  }
}

/** The numbers of keys that have gone. */
export class GoneStates {
  readonly numbers: readonly number[]

  constructor(numbers: readonly number[]) {
    this.numbers = numbers
  }
}

/** A record of a layer. */
export type StateRecord = StateColumns | GoneStates

storableClass(
  'StateColumns',
  StateColumns,
  ({ numbers, keys, states, times }): readonly unknown[] => [numbers, keys, states, times],
  ([numbers, keys, states, times]) =>
    new StateColumns(
      numbers as Uint32Array | Float64Array,
      keys as readonly unknown[] | null,
      states as readonly unknown[],
      times as Time | Float64Array,
    ),
)
storableClass(
  'GoneStates',
  GoneStates,
  (gone): readonly number[] => gone.numbers,
  (numbers) => new GoneStates(numbers),
)

/** Each record as a chunk of the file of a partition, encoded when it is asked for. Throws `NOT_SERIALIZABLE`. */
export function* encodedStateRecords(records: Iterable<StateRecord>): Generator<EncodedChunk> {
  for (const record of records) yield [1, serializeRecords([record])]
}

/** In the place of a state's row: its key has gone. */
const GONE = -1
/** In the place of a key: it is in the whole. */
const KNOWN = Symbol('the key is in the whole')

/** What layers of changes, oldest first, make of the whole that lies beneath them: in its order, what came since at the end. */
export class StateChanges {
  /** By number: its row in the columns, or GONE. */
  readonly #rows = new NumberTable()
  readonly #numbers: number[] = []
  readonly #keys: unknown[] = []
  readonly #states: unknown[] = []
  readonly #times: Time[] = []

  /** Lays the records of one more layer on top. */
  add(records: Iterable<StateRecord>): void {
    for (const record of records) {
      if (record instanceof GoneStates) for (const number of record.numbers) this.#rows.set(number, GONE)
      else this.#put(record)
    }
  }

  #put(columns: StateColumns): void {
    const { numbers, keys, states } = columns
    for (let i = 0; i < numbers.length; i++) {
      const row = this.#rows.get(numbers[i]!)
      if (row !== undefined && row !== GONE) {
        this.#states[row] = states[i]
        this.#times[row] = columns.timeOf(i)
        continue
      }
      this.#rows.set(numbers[i]!, this.#numbers.push(numbers[i]!) - 1)
      this.#keys.push(keys === null ? KNOWN : keys[i])
      this.#states.push(states[i])
      this.#times.push(columns.timeOf(i))
    }
  }

  /** What is left of these states of the whole, as they are now; null for nothing. */
  laidOver(whole: StateColumns): StateColumns | null {
    const left = new ColumnsWriter(true, whole.numbers.length)
    for (let i = 0; i < whole.numbers.length; i++) {
      const number = whole.numbers[i]!
      const row = this.#rows.get(number)
      if (row === undefined) left.add(number, whole.keys![i], whole.states[i], whole.timeOf(i))
      // A number that has come again is another key's now.
      else if (row !== GONE && this.#keys[row] === KNOWN)
        left.add(number, whole.keys![i], this.#states[row], this.#times[row]!)
    }
    return left.length > 0 ? left.take() : null
  }

  /** What came since, in chunks. */
  *added(): Generator<StateColumns> {
    const came = new ColumnsWriter(true, CHUNK_RECORDS)
    for (let row = 0; row < this.#numbers.length; row++) {
      const number = this.#numbers[row]!
      if (this.#keys[row] === KNOWN || this.#rows.get(number) !== row) continue
      came.add(number, this.#keys[row], this.#states[row], this.#times[row]!)
      if (came.isFull) yield came.take()
    }
    if (came.length > 0) yield came.take()
  }
}

/** States put together from the whole, with keys, and layers of changes over it: in columns of any length, none of them empty. */
export function* mergedStates(
  whole: Iterable<StateRecord>,
  layers: readonly Iterable<StateRecord>[],
): Generator<StateColumns> {
  const changes = new StateChanges()
  for (const layer of layers) changes.add(layer)
  for (const columns of whole) {
    const left = changes.laidOver(columns as StateColumns)
    if (left !== null) yield left
  }
  yield* changes.added()
}

/** The same states in columns of the length that chunks have: what is left of the whole becomes short where many keys went. */
export function* inChunks(all: Iterable<StateColumns>): Generator<StateColumns> {
  const chunk = new ColumnsWriter(true, CHUNK_RECORDS)
  for (const columns of all) {
    const { numbers, keys, states } = columns
    for (let i = 0; i < numbers.length; i++) {
      chunk.add(numbers[i]!, keys![i], states[i], columns.timeOf(i))
      if (chunk.isFull) yield chunk.take()
    }
  }
  if (chunk.length > 0) yield chunk.take()
}

/**
 * Writes what the layers in `directories` (the whole first) make together into `target`, one partition; it is there to stay once
 * `target` is synced. Rejects with what `readPartition` and `createPartition` do.
 */
export async function mergeStatePartition(
  directories: readonly DirectoryHandle[],
  target: DirectoryHandle,
  partition: number,
): Promise<void> {
  const parts: Iterable<StateRecord>[] = []
  for (const directory of directories)
    parts.push(new ChunkedRecords((await readPartition(directory, partition)) as Iterable<StateRecord[]>))
  const [whole, ...layers] = parts
  await createPartition(target, partition, encodedStateRecords(inChunks(mergedStates(whole!, layers))))
}
