import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeferredChunks } from '../../src/storage/deferred-chunks.js'
import { deserializeRecords, serializeRecords } from '../../src/storage/record-serializer.js'

const runs = Math.ceil(300 * Number(process.env.MILLRACE_BUDGET ?? 1))
const roundTrip = (records: readonly unknown[]): unknown[] => deserializeRecords(serializeRecords(records))

describe('serialized records', () => {
  const cases: Record<string, unknown[]> = {
    nothing: [],
    'one empty text': [''],
    'texts of all scripts': ['', 'abc', 'größe', '温度', '🙂', 'a\u0000b'],
    'a lone surrogate': ['\ud800', 'x\udc00y'],
    'small, middle and large whole numbers': [0, -128, 127, 0x7fff, -0x8000, 2 ** 31 - 1, -(2 ** 31), 2 ** 53, 1e300],
    'bytes of numbers': [1, 2, -3],
    'numbers that are not numbers': [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    'minus zero alone': [-0],
    'minus zero among whole numbers': [1, -0, 0],
    'minus zero among other things': ['x', -0],
    bigints: [0n, -1n, 2n ** 200n],
    'one value many times': [true, true, true],
    'nothing many times': [undefined, undefined],
    'all that is not there': [undefined, null, undefined],
    pairs: [
      ['a', 1],
      ['b', 2],
    ],
    'pairs of pairs': [
      [['a', 1], { x: 1 }],
      [['b', 2], { x: 2 }],
    ],
    'arrays of other lengths': [[], [1], [1, 2, 3], [1, 2]],
    'like objects': [
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
    ],
    'objects with other fields': [{ a: 1 }, { b: 1 }, {}, { a: 1, b: undefined }],
    'objects with fields in another order': [
      { a: 1, b: 2 },
      { b: 1, a: 2 },
    ],
    dates: [new Date(0), new Date(Number.NaN)],
    'maps and sets': [new Map<unknown, unknown>([['a', new Set([1, 2])]]), new Set(), new Map([[{ x: 1 }, 1]])],
    buffers: [Buffer.from('abc'), Buffer.alloc(0)],
    'typed arrays': [new Uint8Array([1, 2]), new Float64Array([1.5, -0]), new BigInt64Array([-1n]), new ArrayBuffer(3)],
    'deep values': [{ a: [{ b: [new Map([['c', [{ d: null }]]])] }] }],
  }
  for (const [name, records] of Object.entries(cases)) {
    it(`come back: ${name}`, () => {
      const back = roundTrip(records)
      expect(back).toStrictEqual(records)
    })
  }

  it('come back whatever they are', () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: false,
      maxDepth: 4,
    })
    fc.assert(
      fc.property(fc.oneof(fc.array(value), fc.array(fc.tuple(fc.string(), value))), (records) => {
        expect(roundTrip(records)).toStrictEqual(records)
      }),
      { numRuns: runs },
    )
  })

  it('keep a field called __proto__ a field', () => {
    const records = [JSON.parse('{"__proto__": {"polluted": true}}'), JSON.parse('{"__proto__": {"polluted": false}}')]
    const back = roundTrip(records) as object[]
    expect(Object.getOwnPropertyNames(back[0])).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>).polluted).toBe(undefined)
  })

  it('do not share memory with what they were made of', () => {
    const payload = Buffer.from('abc')
    const back = roundTrip([payload]) as Buffer[]
    payload[0] = 0
    expect(back[0]!.toString()).toBe('abc')
  })

  class Reading {
    value = 1
  }
  const cycle: unknown[] = []
  cycle.push(cycle)
  const refused: [string, unknown, RegExp][] = [
    ['an instance of a class', new Reading(), /Reading/],
    ['an instance deep inside', [{ a: new Map([['k', new Reading()]]) }], /Reading/],
    ['a subclass of a class that could travel', new (class Tags extends Map {})(), /Tags/],
    ['a function', { f: roundTrip }, /roundTrip/],
    ['a symbol', Symbol('x'), /symbol/],
    ['a promise', Promise.resolve(), /not awaited: use mapPartitions/],
    ['a value that contains itself', cycle, /contains itself/],
  ]
  for (const [name, record, what] of refused) {
    it(`are refused with NOT_SERIALIZABLE: ${name}`, () => {
      expect(() => serializeRecords(['fine', record])).toThrowError(
        expect.objectContaining({ code: 'NOT_SERIALIZABLE', message: expect.stringMatching(what) }),
      )
    })
  }

  it('leave nothing behind in what is serialized after them, whether they were refused or are longer', () => {
    const first = serializeRecords(['first', 1])
    expect(() => serializeRecords(['fine', { f: roundTrip }])).toThrowError()
    const long = Array.from({ length: 40_000 }, (_, i) => i + 0.5)
    expect(roundTrip(long)).toEqual(long)
    expect(roundTrip([1, -1, 3])).toEqual([1, -1, 3])
    expect(deserializeRecords(first)).toEqual(['first', 1])
  })

  it('may be serialized while others are: a value that is packed serializes what it holds', () => {
    const packed = new DeferredChunks(() => [[1, serializeRecords(['inside'])]])
    const [before, back, after] = roundTrip(['before', packed, 'after']) as [string, DeferredChunks, string]
    expect([before, after]).toEqual(['before', 'after'])
    expect([...back.encoded()].map(([, bytes]) => deserializeRecords(bytes))).toEqual([['inside']])
  })

  it('are refused with CHECKPOINT_INVALID when bytes are missing', () => {
    const bytes = serializeRecords(['some', 'text', { a: [1, 2.5] }, 7])
    for (let length = 0; length < bytes.length; length++) {
      expect(() => deserializeRecords(bytes.subarray(0, length))).toThrowError(
        expect.objectContaining({ code: 'CHECKPOINT_INVALID' }),
      )
    }
  })
})
