import fc from 'fast-check'
import { expect, it } from 'vitest'
import { NumberTable } from '../../dist/storage/number-table.js'

it('has the last row of every number, as a Map has', () => {
  const number = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 2 ** 31 - 20, max: 2 ** 33 }))
  fc.assert(
    fc.property(fc.array(fc.tuple(number, fc.integer({ min: -1, max: 1000 })), { maxLength: 200 }), (entries) => {
      const table = new NumberTable()
      const model = new Map<number, number>()
      for (const [number, row] of entries) {
        table.set(number, row)
        model.set(number, row)
        // Numbers that fall on the same slots.
        for (const other of [number, number + 16, number + 2 ** 32]) expect(table.get(other)).toBe(model.get(other))
      }
      for (const [number, row] of model) expect(table.get(number)).toBe(row)
    }),
  )
})
