/** Entries of a state map, as columns and back. */
import { CHUNK_RECORDS } from '../storage/partition-file.js'
import { ColumnsWriter, GoneStates, type StateColumns, type StateRecord } from '../storage/state-columns.js'
import type { StateDifference, StateEntry } from './state-map.js'

/** The entries in columns, with their keys. */
export function columnsOf(entries: readonly StateEntry[]): StateColumns {
  const columns = new ColumnsWriter(true, entries.length)
  for (const { born, key, state, time } of entries) columns.add(born, key, state, time)
  return columns.take()
}

/** All states, as the records of their whole: what came since there were none. */
export function wholeOf(entries: readonly StateEntry[]): Generator<StateRecord> {
  return recordsOf({ removed: [], updated: entries }, 0)
}

/** What changed since there were `births` keys, as the records of a layer. */
export function* recordsOf({ removed, updated }: StateDifference, births: number): Generator<StateRecord> {
  if (removed.length > 0) yield new GoneStates(removed.map(({ born }) => born))
  const length = Math.min(CHUNK_RECORDS, updated.length)
  const changed = new ColumnsWriter(false, length)
  const came = new ColumnsWriter(true, length)
  for (const { born, key, state, time } of updated) {
    const chunk = born > births ? came : changed
    chunk.add(born, key, state, time)
    if (chunk.isFull) yield chunk.take()
  }
  if (changed.length > 0) yield changed.take()
  if (came.length > 0) yield came.take()
}

/** The entries of columns with keys. */
export function* entriesIn(all: Iterable<StateColumns>): Generator<StateEntry> {
  for (const columns of all) {
    const { numbers, keys, states } = columns
    for (let i = 0; i < numbers.length; i++)
      yield { key: keys![i], state: states[i], time: columns.timeOf(i), born: numbers[i]! }
  }
}
