/** Versions of the states of `mapWithState`: each stays as it was, and what lies between two leads from the older to the newer. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type StateEntry, StateMap } from '../../dist/dstream/state-map.js'
import { LayerChanges, type LayerRecord } from '../../dist/storage/layers.js'

type Record = readonly [key: unknown, value: readonly [state: unknown, time: number]]

const key = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom<unknown>('a', '', null, Number.NaN))
const step = fc.tuple(fc.constantFrom('put', 'put', 'put', 'remove', 'copy', 'copy an older one'), key, fc.nat())
const runs = 300 * Number(process.env.MILLRACE_BUDGET ?? 1)
const recordsOf = (entries: readonly StateEntry[]): Record[] =>
  entries.map(({ key, state, time }) => [key, [state, time]])

test.each([false, true])(
  'a version stays as it was, and changes lead from any version to a later one (byTime %s)',
  (byTime) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const versions = [{ map: new StateMap(byTime), was: [] as Record[] }]
        for (const [n, [what, key, choice]] of steps.entries()) {
          const newest = versions.at(-1)!
          if (what === 'put') newest.map.put(key, n, versions.length)
          else if (what === 'remove') newest.map.remove(key)
          else {
            newest.was = recordsOf(newest.map.entries())
            const from = what === 'copy' ? newest : versions[choice % versions.length]!
            versions.push({ map: from.map.copy(), was: [] })
            if (from !== newest) expect(ordered(recordsOf(versions.at(-1)!.map.entries()))).toEqual(ordered(from.was))
          }
        }
        versions.at(-1)!.was = recordsOf(versions.at(-1)!.map.entries())
        for (const [i, { map, was }] of versions.entries()) {
          expect(map.size).toBe(was.length)
          expect(ordered(recordsOf(map.entries()))).toEqual(ordered(was))
          for (const [k, [state]] of was) expect(map.get(k)?.state).toBe(state)
          for (const older of versions.slice(0, i)) {
            const { removed, changed } = map.changesSince(older.map)
            const layers = new LayerChanges()
            layers.add([...removed.map((gone): LayerRecord => [gone]), ...recordsOf(changed)])
            const laid = [...layers.laidOver(older.was), ...layers.added()]
            if (map.follows(older.map)) expect(ordered(laid as Record[])).toEqual(ordered(was))
          }
        }
      }),
      { numRuns: runs },
    )

    /** What is kept in order of update is put in order when it is read back. */
    function ordered(records: readonly Record[]): readonly Record[] {
      return byTime ? [...records].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : records
    }
  },
)
