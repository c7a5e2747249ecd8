/** Entries of a state map, as columns and back. */
import { StateColumns } from '../storage/state-columns.js'
import type { StateEntry } from './state-map.js'

/** The entries in columns, with their keys. */
export function columnsOf(entries: readonly StateEntry[]): StateColumns {
  const { numbers, states, times } = changesOf(entries)
  const keys = new Array<unknown>(entries.length)
  for (let i = 0; i < entries.length; i++) keys[i] = entries[i]!.key
  return new StateColumns(numbers, keys, states, times)
}

/** The entries in columns, known by their numbers alone. */
export function changesOf(entries: readonly StateEntry[]): StateColumns {
  const { length } = entries
  const numbers = new Array<number>(length)
  const states = new Array<unknown>(length)
  const times = new Array<number>(length)
  for (let i = 0; i < length; i++) {
    const entry = entries[i]!
    numbers[i] = entry.born
    states[i] = entry.state
    times[i] = entry.time
  }
  return new StateColumns(numbers, null, states, times)
}

/** The entries of columns with keys. */
export function* entriesIn(all: Iterable<StateColumns>): Generator<StateEntry> {
  for (const { numbers, keys, states, times } of all)
    for (let i = 0; i < numbers.length; i++)
      yield { key: keys![i], state: states[i], time: times[i]!, born: numbers[i]! }
}
