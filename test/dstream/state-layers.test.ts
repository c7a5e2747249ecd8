/** What is saved of the states of `mapWithState` is what they were when they were read, whatever later batches do before it is written. */
import { expect, test } from 'vitest'
import { changedStates } from '../../dist/dstream/state-layers.js'
import { StateMap } from '../../dist/dstream/state-map.js'
import { allEncoded, DeferredChunks, type LayerChunk } from '../../dist/storage/deferred-chunks.js'
import { deserializeRecords, serializeRecords } from '../../dist/storage/record-serializer.js'
import { GoneStates, StateColumns } from '../../dist/storage/state-columns.js'

type Chunks = readonly LayerChunk[]

/** The chunks of what `change` does to the states of keys a and b. */
async function changed(first: unknown, change: (states: StateMap) => void) {
  const before = new StateMap(false)
  before.put('a', first, 1)
  before.put('b', 'stays', 1)
  const after = before.copy()
  change(after)
  const sides = [[{ states: before, mapped: [] }], [{ states: after, mapped: [] }]]
  return { after, chunks: (await changedStates().call(sides)) as Chunks }
}

const recordsOf = (chunks: Chunks) => [...allEncoded(chunks)].flatMap(([, bytes]) => deserializeRecords(bytes))

test('values are encoded later, as they were', async () => {
  const { after, chunks } = await changed(1, (states) => {
    states.put('a', 2, 2)
    states.put('c', 1, 2)
    states.remove('b')
  })
  const next = after.copy()
  next.put('a', 3, 3)
  next.remove('c')
  next.copy().put('a', 4, 4)
  expect(chunks.some((chunk) => chunk instanceof DeferredChunks)).toBe(true)
  expect(recordsOf(chunks)).toEqual([
    new GoneStates([2]),
    new StateColumns(new Uint32Array([1]), null, [2], 2),
    new StateColumns(new Uint32Array([3]), ['c'], [1], 2),
  ])
})

test('objects are encoded at once, since a later batch may change them in place', async () => {
  const state = { n: 2 }
  const { chunks } = await changed({ n: 1 }, (states) => states.put('a', state, 2))
  state.n = 3
  expect(recordsOf(chunks)).toEqual([new StateColumns(new Uint32Array([1]), null, [{ n: 2 }], 2)])
})

test('a chunk that crosses a boundary is the same behind it', async () => {
  const { chunks } = await changed(1, (states) => states.put('a', 2, 2))
  expect(recordsOf(deserializeRecords(serializeRecords(chunks)) as unknown as Chunks)).toEqual([
    new StateColumns(new Uint32Array([1]), null, [2], 2),
  ])
})
