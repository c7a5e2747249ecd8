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
  readonly numbers: readonly number[]
  /** Null where each stays as it is. */
  readonly keys: readonly unknown[] | null
  readonly states: readonly unknown[]
  readonly times: readonly Time[]

  constructor(
    numbers: readonly number[],
    keys: readonly unknown[] | null,
    states: readonly unknown[],
    times: readonly Time[],
  ) {
    this.numbers = numbers
    this.keys = keys
    this.states = states
    this.times = times
  }
}

/** Puts states into columns, one after another. */
export class ColumnsWriter {
  readonly #hasKeys: boolean
  readonly #capacity: number
  #length = 0
  #numbers: number[] = []
  #keys: unknown[] = []
  #states: unknown[] = []
  #times: Time[] = []

  /** Without keys each stays as it is. `capacity` is how many there will mostly be at a time. */
  constructor(hasKeys: boolean, capacity: number) {
    this.#hasKeys = hasKeys
    this.#capacity = capacity
  }

  get length(): number {
    return this.#length
  }

  add(number: number, key: unknown, state: unknown, time: Time): void {
    if (this.#length === 0) this.#begin()
    this.#numbers[this.#length] = number
    if (this.#hasKeys) this.#keys[this.#length] = key
    this.#states[this.#length] = state
    this.#times[this.#length++] = time
  }

  // In full length at once: arrays that grow leave several times their size to be collected.
  #begin(): void {
    this.#numbers = new Array(this.#capacity)
    if (this.#hasKeys) this.#keys = new Array(this.#capacity)
    this.#states = new Array(this.#capacity)
    this.#times = new Array(this.#capacity)
  }

  /** What was added since the last time. */
  take(): StateColumns {
    const [numbers, keys, states, times] = [this.#numbers, this.#keys, this.#states, this.#times]
    for (const column of [numbers, keys, states, times]) column.length = this.#length
    this.#length = 0
    return new StateColumns(numbers, this.#hasKeys ? keys : null, states, times)
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
      numbers as readonly number[],
      keys as readonly unknown[] | null,
      states as readonly unknown[],
      times as readonly Time[],
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

  #put({ numbers, keys, states, times }: StateColumns): void {
    for (let i = 0; i < numbers.length; i++) {
      const row = this.#rows.get(numbers[i]!)
      if (row !== undefined && row !== GONE) {
        this.#states[row] = states[i]
        this.#times[row] = times[i]!
        continue
      }
      this.#rows.set(numbers[i]!, this.#numbers.push(numbers[i]!) - 1)
      this.#keys.push(keys === null ? KNOWN : keys[i])
      this.#states.push(states[i])
      this.#times.push(times[i]!)
    }
  }

  /** What is left of these states of the whole, as they are now. */
  laidOver(whole: StateColumns): StateColumns {
    const left = new ColumnsWriter(true, whole.numbers.length)
    for (let i = 0; i < whole.numbers.length; i++) {
      const number = whole.numbers[i]!
      const row = this.#rows.get(number)
      if (row === undefined) left.add(number, whole.keys![i], whole.states[i], whole.times[i]!)
      // A number that has come again is another key's now.
      else if (row !== GONE && this.#keys[row] === KNOWN)
        left.add(number, whole.keys![i], this.#states[row], this.#times[row]!)
    }
    return left.take()
  }

  /** What came since. */
  added(): StateColumns {
    const came = new ColumnsWriter(true, CHUNK_RECORDS)
    for (let row = 0; row < this.#numbers.length; row++) {
      const number = this.#numbers[row]!
      if (this.#keys[row] !== KNOWN && this.#rows.get(number) === row)
        came.add(number, this.#keys[row], this.#states[row], this.#times[row]!)
    }
    return came.take()
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
    if (left.numbers.length > 0) yield left
  }
  const added = changes.added()
  if (added.numbers.length > 0) yield added
}

/** The same states in columns of the length that chunks have: what is left of the whole becomes short where many keys went. */
export function* inChunks(all: Iterable<StateColumns>): Generator<StateColumns> {
  const chunk = new ColumnsWriter(true, CHUNK_RECORDS)
  for (const { numbers, keys, states, times } of all) {
    for (let i = 0; i < numbers.length; i++) {
      chunk.add(numbers[i]!, keys![i], states[i], times[i]!)
      if (chunk.length === CHUNK_RECORDS) yield chunk.take()
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
