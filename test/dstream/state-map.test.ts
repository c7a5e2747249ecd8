/** Versions of the states of `mapWithState`: each stays as it was, and what lies between two leads from the older to the newer. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { columnsOf, entriesIn, recordsOf } from '../../dist/dstream/state-entries.js'
import { type StateEntry, StateMap } from '../../dist/dstream/state-map.js'
import { overlaid, stateLayer } from '../../dist/dstream/state-partition-layers.js'
import type { StatePartition } from '../../dist/dstream/state-update.js'
import { deserializeRecords, serializeRecords } from '../../dist/storage/record-serializer.js'
import { mergedStates } from '../../dist/storage/state-columns.js'

const key = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom<unknown>('a', '', null, Number.NaN))
const step = fc.tuple(fc.constantFrom('put', 'put', 'put', 'remove', 'copy', 'copy an older one'), key, fc.nat())
const runs = 300 * Number(process.env.MILLRACE_BUDGET ?? 1)
const plain = (entries: readonly StateEntry[]): StateEntry[] =>
  entries.map(({ key, state, time, born }) => ({ key, state, time, born }))
const sent = (map: StateMap): StateMap => deserializeRecords(serializeRecords([map]))[0] as StateMap

test.each([false, true])(
  'a version stays as it was, and changes lead from any version to a later one (byTime %s)',
  (byTime) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const versions = [{ map: new StateMap(byTime), was: [] as StateEntry[] }]
        for (const [n, [what, key, choice]] of steps.entries()) {
          const newest = versions.at(-1)!
          if (what === 'put') newest.map.put(key, n, versions.length)
          else if (what === 'remove') newest.map.remove(key)
          else {
            newest.was = plain(newest.map.entries())
            const from = what === 'copy' ? newest : versions[choice % versions.length]!
            versions.push({ map: from.map.copy(), was: [] })
            if (from !== newest) expect(ordered(plain(versions.at(-1)!.map.entries()))).toEqual(ordered(from.was))
          }
        }
        versions.at(-1)!.was = plain(versions.at(-1)!.map.entries())
        for (const [i, { map, was }] of versions.entries()) {
          expect(map.size).toBe(was.length)
          expect(ordered(plain(map.entries()))).toEqual(ordered(was))
          for (const { key, state } of was) expect(map.get(key)?.state).toBe(state)
          for (const older of versions.slice(0, i)) {
            if (!map.follows(older.map)) continue
            // What is known of both ends alone, as where they come from other threads, says the same as the steps between.
            for (const difference of [map.changesSince(older.map), sent(map).changesSince(sent(older.map))]) {
              const laid = [...mergedStates([columnsOf(older.was)], [recordsOf(difference, older.map.births)])]
              expect(ordered([...entriesIn(laid)])).toEqual(ordered(was))
            }
          }
        }
      }),
      { numRuns: runs },
    )

    /** What is kept in order of update is put in order when it is read back. */
    function ordered(records: readonly StateEntry[]): readonly StateEntry[] {
      return byTime ? [...records].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : records
    }
  },
)

test('a layer of a kept partition leads to the same order of update, whether keys changed or came, over several batches', () => {
  const before = new StateMap(true)
  before.put('a', 1, 1)
  before.put('b', 1, 1)
  const between = before.copy()
  between.put('c', 1, 2)
  between.put('a', 2, 2)
  const after = between.copy()
  after.put('b', 2, 3)
  const layer = stateLayer({ states: before, mapped: [] }, { states: after, mapped: [] })
  const [{ states }] = overlaid([{ states: sent(before), mapped: [] }, layer]) as [StatePartition]
  expect(plain(states.entries())).toEqual(plain(after.entries()))
  expect(states.olderThan(3).map(({ key }) => key)).toEqual(['c', 'a'])
})
