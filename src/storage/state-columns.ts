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

/** A record as a chunk of the file of a partition. */
export function encodedStateRecord(record: StateRecord): EncodedChunk {
  return [1, serializeRecords([record])]
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
    const numbers: number[] = []
    const keys: unknown[] = []
    const states: unknown[] = []
    const times: Time[] = []
    for (let i = 0; i < whole.numbers.length; i++) {
      const number = whole.numbers[i]!
      const row = this.#rows.get(number)
      // A number that has come again is another key's now.
      if (row !== undefined && (row === GONE || this.#keys[row] !== KNOWN)) continue
      numbers.push(number)
      keys.push(whole.keys![i])
      states.push(row === undefined ? whole.states[i] : this.#states[row])
      times.push(row === undefined ? whole.times[i]! : this.#times[row]!)
    }
    return new StateColumns(numbers, keys, states, times)
  }

  /** What came since. */
  added(): StateColumns {
    const came: number[] = []
    for (let row = 0; row < this.#numbers.length; row++)
      if (this.#keys[row] !== KNOWN && this.#rows.get(this.#numbers[row]!) === row) came.push(row)
    return new StateColumns(
      came.map((row) => this.#numbers[row]!),
      came.map((row) => this.#keys[row]),
      came.map((row) => this.#states[row]),
      came.map((row) => this.#times[row]!),
    )
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
  let [numbers, keys, states, times]: [number[], unknown[], unknown[], Time[]] = [[], [], [], []]
  for (const columns of all) {
    for (let i = 0; i < columns.numbers.length; i++) {
      numbers.push(columns.numbers[i]!)
      keys.push(columns.keys![i])
      states.push(columns.states[i])
      times.push(columns.times[i]!)
      if (numbers.length < CHUNK_RECORDS) continue
      yield new StateColumns(numbers, keys, states, times)
      ;[numbers, keys, states, times] = [[], [], [], []]
    }
  }
  if (numbers.length > 0) yield new StateColumns(numbers, keys, states, times)
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
  await createPartition(target, partition, encodedStates(inChunks(mergedStates(whole!, layers))))
}

function* encodedStates(all: Iterable<StateColumns>): Generator<EncodedChunk> {
  for (const columns of all) yield encodedStateRecord(columns)
}
