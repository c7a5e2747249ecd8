/** Layers of saved state, laid over one another. */
import { expect, it } from 'vitest'
import { LayerChanges, type LayerRecord } from '../../dist/storage/layers.js'

type Pair = readonly [string, number]

function laid(whole: readonly Pair[], ...layers: LayerRecord[][]): unknown[] {
  const changes = new LayerChanges()
  for (const layer of layers) changes.add(layer)
  return [...changes.laidOver(whole), ...changes.added()]
}

const whole: Pair[] = [
  ['a', 1],
  ['b', 2],
  ['c', 3],
]

it('keeps the order of the keys: what changed stays in its place, what came is last', () => {
  expect(laid(whole, [['b', 20]], [['d', 4]], [['d', 40]], [['a', 10]])).toEqual([
    ['a', 10],
    ['b', 20],
    ['c', 3],
    ['d', 40],
  ])
})

it('leaves out what went, and has what came again last', () => {
  expect(laid(whole, [['a'], ['b']], [['e', 5]], [['a', 11]])).toEqual([
    ['c', 3],
    ['e', 5],
    ['a', 11],
  ])
})

it('takes a key that one layer says went and came for one that came', () => {
  expect(laid(whole, [['a'], ['a', 9]])).toEqual([
    ['b', 2],
    ['c', 3],
    ['a', 9],
  ])
})

it('does not bring back what came and went between', () => {
  expect(laid(whole, [['d', 4]], [['d']])).toEqual(whole)
})
