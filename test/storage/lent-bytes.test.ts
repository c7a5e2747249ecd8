import { describe, expect, test } from 'vitest'
import { LentBytes } from '../../src/storage/lent-bytes.js'

function lent() {
  let released = 0
  const bytes = new LentBytes(() => released++)
  return { bytes, released: () => released }
}

describe('bytes that are lent', () => {
  test('go back when their block is dropped, once', () => {
    const { bytes, released } = lent()
    expect([...bytes.reading([1, 2])]).toEqual([1, 2])
    expect(released()).toBe(0)
    bytes.drop()
    bytes.drop()
    expect(released()).toBe(1)
  })

  test('stay while a task is in the middle of them, also one that has not begun', () => {
    const { bytes, released } = lent()
    const first = bytes.reading([1, 2])[Symbol.iterator]()
    const second = bytes.reading([1, 2])
    first.next()
    bytes.drop()
    first.return?.()
    expect(released()).toBe(0)
    expect([...second]).toEqual([1, 2])
    expect(released()).toBe(1)
  })

  test('go back when the reading fails', () => {
    const { bytes, released } = lent()
    const broken = (function* () {
      yield 1
      throw new Error('broken')
    })()
    const chunks = bytes.reading(broken)
    bytes.drop()
    expect(() => [...chunks]).toThrow('broken')
    expect(released()).toBe(1)
  })
})
