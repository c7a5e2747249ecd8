/** Saved states in columns, and layers of changes laid over them by the numbers of their keys. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { deserializeRecords, serializeRecords } from '../../dist/storage/record-serializer.js'
import {
  ColumnsWriter,
  GoneStates,
  inChunks,
  mergedStates,
  type StateColumns,
  type StateRecord,
} from '../../dist/storage/state-columns.js'

type Row = readonly [number: number, key: unknown, state: unknown, time: number]

const came = (...rows: Row[]): StateColumns => {
  const columns = new ColumnsWriter(true, rows.length)
  for (const row of rows) columns.add(...row)
  return columns.take()
}
const changed = (...rows: (readonly [number: number, state: unknown, time: number])[]): StateColumns => {
  const columns = new ColumnsWriter(false, rows.length)
  for (const [number, state, time] of rows) columns.add(number, null, state, time)
  return columns.take()
}
const rowsOf = (all: Iterable<StateColumns>): Row[] =>
  [...all].flatMap((columns) =>
    [...columns.numbers].map((number, i): Row => [number, columns.keys![i], columns.states[i], columns.timeOf(i)]),
  )
const laid = (...layers: StateRecord[][]): Row[] => rowsOf(mergedStates([whole], layers))

const whole = came([1, 'a', 10, 1], [2, 'b', 20, 1], [4, 'd', 40, 1])

it('keeps the order of the keys: what changed stays in its place, what came is last', () => {
  expect(laid([changed([4, 41, 2])], [came([5, 'e', 50, 3])], [changed([5, 51, 4], [1, 11, 4])])).toEqual([
    [1, 'a', 11, 4],
    [2, 'b', 20, 1],
    [4, 'd', 41, 2],
    [5, 'e', 51, 4],
  ])
})

it('leaves out what went, whether the whole had it or a layer', () => {
  expect(laid([came([5, 'e', 50, 2])], [new GoneStates([1, 5]), came([6, 'a', 60, 3])])).toEqual([
    [2, 'b', 20, 1],
    [4, 'd', 40, 1],
    [6, 'a', 60, 3],
  ])
})

it('takes a number that came after it went for another key', () => {
  expect(laid([new GoneStates([4])], [came([4, 'x', 1, 3])], [changed([4, 2, 4])])).toEqual([
    [1, 'a', 10, 1],
    [2, 'b', 20, 1],
    [4, 'x', 2, 4],
  ])
})

it('makes the same of any layers, whether they are merged on the way or not', () => {
  const step = fc.tuple(fc.nat(9), fc.constantFrom('put', 'put', 'remove'))
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 8 }), fc.nat(8), (batches, mergedAfter) => {
      const model = new Map<number, Row>()
      let births = 0
      let time = 0
      let layers: StateRecord[][] = []
      let bottom: StateRecord[] = []
      for (const [n, steps] of batches.entries()) {
        time++
        const layer: StateRecord[] = []
        for (const [key, what] of steps) {
          const before = model.get(key)
          if (what === 'remove') {
            if (before !== undefined) layer.push(new GoneStates([before[0]]))
            model.delete(key)
          } else {
            const row: Row = [before?.[0] ?? ++births, key, `${time}`, time]
            layer.push(before === undefined ? came(row) : changed([row[0], row[2], row[3]]))
            model.set(key, row)
          }
        }
        layers.push(layer)
        if (n === mergedAfter) {
          bottom = [...inChunks(mergedStates(bottom, layers))]
          layers = []
        }
      }
      expect(rowsOf(mergedStates(bottom, layers))).toEqual([...model.values()])
    }),
    { numRuns: 300 * Number(process.env.MILLRACE_BUDGET ?? 1) },
  )
})

it('gathers what is left of many columns into long ones', () => {
  const many = Array.from({ length: 1000 }, (_, n) =>
    came(...Array.from({ length: 10 }, (_, i): Row => [n * 10 + i, `${n}`, i, n])),
  )
  const chunks = [...inChunks(many)]
  expect(chunks.map(({ numbers }) => numbers.length)).toEqual([4096, 4096, 1808])
  expect(rowsOf(chunks)).toEqual(rowsOf(many))
})

it('keeps numbers of any size and times that differ, and is the same when it is read back', () => {
  const rows: Row[] = [
    [1, 'a', 1, 1_700_000_000_000],
    [2 ** 32, 'b', null, 1_700_000_000_200],
    [2 ** 53 - 1, 'c', { n: 1 }, 0],
  ]
  const [back] = deserializeRecords(serializeRecords([came(...rows)])) as [StateColumns]
  expect(rowsOf([back])).toEqual(rows)
  const same = came(...rows.slice(0, 2).map(([, ...rest], i): Row => [i + 1, rest[0], rest[1], 7]))
  expect(same.times).toBe(7)
  expect(rowsOf(deserializeRecords(serializeRecords([same])) as StateColumns[])).toEqual([
    [1, 'a', 1, 7],
    [2, 'b', null, 7],
  ])
})

it('begins anew with every chunk', () => {
  const columns = new ColumnsWriter(true, 2)
  columns.add(2 ** 40, 'a', 1, 1)
  columns.add(1, 'b', 2, 2)
  expect(columns.isFull).toBe(true)
  const first = columns.take()
  columns.add(3, 'c', 3, 5)
  const second = columns.take()
  expect(rowsOf([first, second])).toEqual([
    [2 ** 40, 'a', 1, 1],
    [1, 'b', 2, 2],
    [3, 'c', 3, 5],
  ])
  expect([second.numbers, second.times]).toEqual([new Uint32Array([3]), 5])
})
