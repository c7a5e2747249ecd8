/** What tasks do with state: the library functions of `mapWithState` and `updateStateByKey`. */

import { lookedUpTogether } from '../rdd/entry-table.js'
import { KeyedMap } from '../rdd/keys.js'
import { RecordError } from '../rdd/operator-failure.js'
import { forEachPaced, Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import { type LibraryFunction, libraryFunction, type TaskFunction } from '../rdd/task-function.js'
import { mergedStates, type StateRecord } from '../storage/state-columns.js'
import type { Time } from '../time.js'
import { State } from './state.js'
import { entriesIn } from './state-entries.js'
import { inOrderOfTime, StateMap } from './state-map.js'
import type { StateFunction, TimedStateFunction } from './state-spec.js'

/** One partition of a state RDD: the states after the batch, and what the function returned during it. */
export interface StatePartition {
  readonly states: StateMap
  readonly mapped: readonly unknown[]
}

/** How one batch updates the states. */
export interface StateUpdate {
  readonly isTimed: boolean
  readonly time: Time
  /** States last touched before this time are timing out; null without a time-out. */
  readonly timeoutBefore: Time | null
  /** Look for states that time out in this batch. */
  readonly sweeps: boolean
}

type Update = StateFunction<unknown, unknown, unknown, unknown> & TimedStateFunction<unknown, unknown, unknown, unknown>

/** Applies the records of one batch to the states before it. Spark's `MapWithStateRDDRecord.updateRecordWithData`. */
export async function updateStates(
  before: StatePartition,
  records: Iterable<Pair<unknown, unknown>>,
  f: Update,
  { isTimed, time, timeoutBefore, sweeps }: StateUpdate,
): Promise<StatePartition> {
  const states = before.states.copy()
  const mapped: unknown[] = []
  const state = new State<unknown>()
  const call = (key: unknown, value: unknown): void => {
    let result: unknown
    try {
      result = isTimed
        ? f(time, key, value, state)
        : (f as StateFunction<unknown, unknown, unknown, unknown>)(key, value, state)
    } catch (error) {
      throw new RecordError(error, [key, value])
    }
    if (!isTimed || (result !== null && result !== undefined)) mapped.push(result)
  }
  const pacer = new Pacer()
  for (const chunk of lookedUpTogether(records)) {
    states.warm(chunk.map(([key]) => key))
    for (const [key, value] of chunk) {
      state.wrap(states.get(key))
      call(key, value)
      if (state.isRemoved) states.remove(key)
      else if (state.isUpdated || (state.exists() && timeoutBefore !== null)) states.put(key, state.get(), time)
    }
    if (pacer.isDue) await pacer.turn()
  }
  if (sweeps && timeoutBefore !== null) {
    let n = 0
    for (const entry of states.olderThan(timeoutBefore)) {
      state.wrap(entry, true)
      call(entry.key, null)
      states.remove(entry.key)
      if ((++n & 255) === 0 && pacer.isDue) await pacer.turn()
    }
  }
  return { states, mapped }
}

/** The states of a batch from the ones before and its records: `[before, records]` through `zip`. */
export const updatedStates: (f: TaskFunction, update: StateUpdate) => LibraryFunction = libraryFunction(
  'updateStates',
  (f: Update, update: StateUpdate) =>
    async ([before, records]: readonly [Iterable<StatePartition>, Iterable<Pair<unknown, unknown>>]) => {
      const [partition] = before
      return [await updateStates(partition!, records, f, update)]
    },
)

/** States made of pairs, all of one time. */
export const statesOfPairs: (byTime: boolean, time: Time) => LibraryFunction = libraryFunction(
  'statesOfPairs',
  (byTime: boolean, time: Time) => (pairs: Iterable<Pair<unknown, unknown>>) => {
    const states = new StateMap(byTime)
    for (const [key, state] of pairs) states.put(key, state, time)
    return [{ states, mapped: [] }]
  },
)

type StateLayers = readonly [Iterable<StateRecord>, ...Iterable<StateRecord>[]]

/** States put together from the layers that were saved, the whole first: `[whole, ...changes]` through `zip`. */
export const statesOfLayers: (byTime: boolean) => LibraryFunction = libraryFunction(
  'statesOfLayers',
  (byTime: boolean) =>
    async ([whole, ...layers]: StateLayers) => {
      const states = new StateMap(byTime)
      const entries = entriesIn(mergedStates(whole, layers))
      const inOrder = byTime ? [...entries].sort(inOrderOfTime) : entries
      await forEachPaced(inOrder, new Pacer(), (entry) => states.putBack(entry))
      return [{ states, mapped: [] }]
    },
)

/** The same as pairs `[key, [state, time]]`, which can be moved to where their keys live; `statesOfEntries` makes states of them. */
export const entriesOfLayers: () => LibraryFunction = libraryFunction(
  'entriesOfLayers',
  () =>
    function* ([whole, ...layers]: StateLayers) {
      for (const { key, state, time } of entriesIn(mergedStates(whole, layers))) yield [key, [state, time]]
    },
)

export const statesOfEntries: (byTime: boolean) => LibraryFunction = libraryFunction(
  'statesOfEntries',
  (byTime: boolean) => (entries: Iterable<Pair<unknown, readonly [state: unknown, time: Time]>>) => {
    const states = new StateMap(byTime)
    const sorted = byTime ? [...entries].sort((a, b) => a[1][1] - b[1][1]) : entries
    for (const [key, [state, time]] of sorted) states.put(key, state, time)
    return [{ states, mapped: [] }]
  },
)

/** What the function returned during the batch. */
export const mappedRecords: () => LibraryFunction = libraryFunction(
  'mappedRecords',
  () =>
    ({ mapped }: StatePartition) =>
      mapped,
)

/** Every key with its state. */
export const statePairs: () => LibraryFunction = libraryFunction(
  'statePairs',
  () =>
    ({ states }: StatePartition) =>
      states.entries().map(({ key, state }) => [key, state]),
)

/** How the function of `updateStateByKey` is called: with values and state, with time and key before them, or with a whole partition. */
export type UpdateForm = 'simple' | 'timed' | 'partition'

type WithState = readonly [key: unknown, values: unknown[], state: unknown]

/**
 * The states of `updateStateByKey`: `[records, states]`, or `[states]` where the batch has no RDD, or `[records]` where
 * there are no states yet. `roles` says which.
 */
export const updatedByKey: (
  f: TaskFunction,
  form: UpdateForm,
  time: Time,
  roles: readonly ('records' | 'states')[],
) => LibraryFunction = libraryFunction(
  'updateByKey',
  (f: (...values: unknown[]) => unknown, form: UpdateForm, time: Time, roles: readonly ('records' | 'states')[]) =>
    async (sides: readonly Iterable<Pair<unknown, unknown>>[]) => {
      const groups = new KeyedMap<unknown[]>()
      const states: WithState[] = []
      const pacer = new Pacer()
      let n = 0
      for (const [side, pairs] of sides.entries()) {
        for (const [key, value] of pairs) {
          if ((++n & 255) === 0 && pacer.isDue) await pacer.turn()
          if (roles[side] === 'states') {
            states.push([key, groups.get(key) ?? [], value])
            groups.delete(key)
            continue
          }
          const values = groups.get(key)
          if (values === undefined) groups.set(key, [value])
          else values.push(value)
        }
      }
      for (const [key, values] of groups) states.push([key, values, null])
      if (form === 'partition') return f(states)
      const updated: unknown[] = []
      for (const [key, values, before] of states) {
        if ((++n & 255) === 0 && pacer.isDue) await pacer.turn()
        let state: unknown
        try {
          state = form === 'timed' ? f(time, key, values, before) : f(values, before)
        } catch (error) {
          throw new RecordError(error, [key, values])
        }
        if (state !== null && state !== undefined) updated.push([key, state])
      }
      return updated
    },
)
