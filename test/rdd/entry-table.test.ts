/** The table of entries behaves as a Map does, whatever is put in and taken out, in order. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EntryTable } from '../../dist/rdd/entry-table.js'

type Entry = { readonly id: unknown; readonly n: number }

const id = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.constantFrom('a', 'b', 'Aa', 'BB', '', '1', null, undefined, true, Number.NaN, 0.5, 10n),
)
const step = fc.tuple(fc.constantFrom('set', 'set', 'setLast', 'delete', 'warm'), id)
const runs = 200 * Number(process.env.MILLRACE_BUDGET ?? 1)

test('entries are found, replaced, moved to the end and taken out as in a Map', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new EntryTable<Entry>()
      const model = new Map<unknown, Entry>()
      for (const [n, [what, key]] of steps.entries()) {
        const entry = { id: key, n }
        if (what === 'set') {
          table.set(entry)
          model.set(key, entry)
        } else if (what === 'setLast') {
          table.setLast(entry)
          model.delete(key)
          model.set(key, entry)
        } else if (what === 'delete') {
          table.delete(key)
          model.delete(key)
        } else table.warm([key])
        expect(table.get(key)).toBe(model.get(key) ?? null)
      }
      expect(table.size).toBe(model.size)
      expect(table.toArray()).toEqual([...model.values()])
      for (const [key, entry] of model) expect(table.get(key)).toBe(entry)
    }),
    { numRuns: runs },
  )
})

test('a large table keeps its entries while most of them go and come again', () => {
  const table = new EntryTable<Entry>()
  for (let n = 0; n < 100_000; n++) table.set({ id: `key-${n}`, n })
  table.warm(Array.from({ length: 300 }, (_, i) => `key-${i * 500}`))
  for (let n = 0; n < 100_000; n++) if (n % 10 !== 0) table.delete(`key-${n}`)
  for (let n = 0; n < 50_000; n++) table.setLast({ id: `key-${n}`, n: -n })
  expect(table.size).toBe(55_000)
  expect(table.takeWhile(({ n }) => n > 0).map(({ n }) => n)).toEqual(
    Array.from({ length: 5000 }, (_, i) => 50_000 + i * 10),
  )
  expect(table.get('key-99990')?.n).toBe(99_990)
  expect(table.get('key-49999')?.n).toBe(-49_999)
  expect(table.get('key-99999')).toBeNull()
})
