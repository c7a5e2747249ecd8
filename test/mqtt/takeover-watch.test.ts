/** When the end of connections is a fight for a client id, and when it is not. */
import { describe, expect, test } from 'vitest'
import { TakeoverWatch } from '../../src/mqtt/takeover-watch.js'

/** Whether the last of these ends is a fight. `b`: the broker closed in order; `c`: cut; null: never accepted. */
function isFight(ends: readonly (readonly [number, 'b' | 'c'] | null)[]): boolean {
  const watch = new TakeoverWatch()
  return ends.map((end) => watch.ended(end?.[0] ?? null, end?.[1] === 'b')).at(-1) !== null
}

describe('the end of a connection', () => {
  test.each([
    [
      'three quick ones in a row',
      [
        [900, 'b'],
        [100, 'b'],
        [4000, 'b'],
      ],
      true,
    ],
    [
      'two quick ones',
      [
        [900, 'b'],
        [100, 'b'],
      ],
      false,
    ],
    [
      'five slow ones in a row, as a client makes that waits ten seconds',
      [
        [9e3, 'b'],
        [1e4, 'b'],
        [5e4, 'b'],
        [1e4, 'b'],
        [9e3, 'b'],
      ],
      true,
    ],
    [
      'four slow ones',
      [
        [9e3, 'b'],
        [1e4, 'b'],
        [5e4, 'b'],
        [1e4, 'b'],
      ],
      false,
    ],
    ['connections that last', Array(9).fill([61e3, 'b']), false],
    ['network cuts', Array(9).fill([100, 'c']), false],
    ['a broker that is away in between', [[100, 'b'], null, [100, 'b'], null, [100, 'b'], null, [100, 'b']], false],
  ] as [string, (readonly [number, 'b' | 'c'] | null)[], boolean][])('%s', (_name, ends, expected) => {
    expect(isFight(ends)).toBe(expected)
  })
})
