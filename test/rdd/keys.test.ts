import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalKey, compareKeys, hashKey, KeyedMap } from '../../dist/rdd/keys.js'
import { HashPartitioner, partitionFunction, rangeBounds } from '../../dist/rdd/partitioner.js'

const plainKey = fc.letrec((tie) => ({
  key: fc.oneof(
    { depthSize: 'small' },
    fc.string(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt(),
    fc.array(tie('key'), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie('key'), { maxKeys: 3 }),
  ),
})).key

describe('keys compare by value', () => {
  test('a structural copy of a key finds its value and hashes alike', () => {
    fc.assert(
      fc.property(plainKey, (key) => {
        const copy = structuredClone(key)
        const map = new KeyedMap<string>().set(key, 'found')
        expect(map.get(copy)).toBe('found')
        expect(map.has(copy)).toBe(true)
        expect(hashKey(copy)).toBe(hashKey(key))
      }),
    )
  })

  test('the order of fields does not matter, their values do', () => {
    expect(canonicalKey({ a: 1, b: 2 })).toBe(canonicalKey({ b: 2, a: 1 }))
    expect(canonicalKey({ a: 1, b: 2 })).not.toBe(canonicalKey({ a: 2, b: 1 }))
  })

  test('keys that only look alike stay apart', () => {
    const different = [
      '1',
      1,
      1n,
      true,
      'true',
      null,
      undefined,
      [1],
      ['1'],
      [[1]],
      { 0: 1 },
      new Date(1),
      new Set([1]),
      [1, 2],
      ['1,2'],
    ]
    expect(new Set(different.map(canonicalKey)).size).toBe(different.length)
  })

  test('zero and minus zero are one key, and NaN is one key', () => {
    expect(canonicalKey(-0)).toBe(canonicalKey(0))
    const map = new KeyedMap<number>().set(Number.NaN, 1).set([Number.NaN], 2)
    expect(map.get(Number.NaN)).toBe(1)
    expect(map.get([Number.NaN])).toBe(2)
  })

  test('a deleted key is gone and the size follows', () => {
    const map = new KeyedMap<number>().set('a', 1).set(['a'], 2)
    expect(map.size).toBe(2)
    expect(map.delete(['a'])).toBe(true)
    expect(map.delete(['a'])).toBe(false)
    expect([...map]).toEqual([['a', 1]])
  })

  test('a hole of an array is a key as undefined is', () => {
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    expect(canonicalKey([1, , 3])).toBe(canonicalKey([1, undefined, 3]))
  })

  test('bytes without a view compare by what they hold', () => {
    const keys = [[1], [1], [2]].map((bytes) => canonicalKey(new Uint8Array(bytes).buffer))
    expect(keys[0]).toBe(keys[1])
    expect(keys[0]).not.toBe(keys[2])
  })

  test('what has no value to compare cannot be a key', () => {
    for (const key of [() => 1, /a/, new Error('boom'), Promise.resolve()])
      expect(() => canonicalKey([key])).toThrow(TypeError)
  })
})

describe('partitioners', () => {
  test('a hash partitioner sends every key to a partition it has, and null to the first', () => {
    fc.assert(
      fc.property(plainKey, fc.integer({ min: 1, max: 17 }), (key, partitions) => {
        const partition = partitionFunction(new HashPartitioner(partitions))(key)
        expect(partition).toBeGreaterThanOrEqual(0)
        expect(partition).toBeLessThan(partitions)
      }),
    )
    expect(partitionFunction(new HashPartitioner(7))(null)).toBe(0)
  })

  test('names of sensors spread over the partitions', () => {
    const counts = [0, 0, 0, 0]
    const partitionOf = partitionFunction(new HashPartitioner(4))
    for (let i = 0; i < 1000; i++) counts[partitionOf(`sensor${i}`)]!++
    for (const count of counts) expect(count).toBeGreaterThan(150)
  })

  test('range bounds cut a sample into ascending ranges of like weight', () => {
    expect(rangeBounds(weighted([5, 3, 1, 4, 2, 6]), 3)).toEqual([2, 4])
    expect(rangeBounds(weighted([1, 1, 1, 1]), 4)).toEqual([1])
    expect(rangeBounds([], 4)).toEqual([])
  })

  test('arrays order element by element', () => {
    const sorted = [[1, 'b'], [1, 'a'], [0, 'z'], [1]].sort(compareKeys)
    expect(sorted).toEqual([[0, 'z'], [1], [1, 'a'], [1, 'b']])
  })

  test('what has no place between numbers has one beside them: nothing first, NaN and dates without a time last', () => {
    const numbers = [3, Number.NaN, null, -1, 2, Number.NaN, 0, 1]
    expect(numbers.sort(compareKeys)).toEqual([null, -1, 0, 1, 2, 3, Number.NaN, Number.NaN])
    const day = new Date(1)
    expect([new Date(Number.NaN), day, null].sort(compareKeys)).toEqual([null, day, new Date(Number.NaN)])
    expect(
      [
        ['b', undefined],
        ['b', 'c'],
        [null, 'a'],
      ].sort(compareKeys),
    ).toEqual([
      [null, 'a'],
      ['b', undefined],
      ['b', 'c'],
    ])
  })
})

function weighted(keys: readonly number[]): (readonly [number, number])[] {
  return keys.map((key) => [key, 1])
}
