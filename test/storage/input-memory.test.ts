import { describe, expect, test } from 'vitest'
import { estimateBytes, InputMemory } from '../../dist/storage/input-memory.js'

/** Which of the promises have resolved, after everything that is ready has run. */
async function resolved(promises: readonly (Promise<void> | null)[]): Promise<boolean[]> {
  const states = promises.map((promise) => ({ promise, isResolved: promise === null }))
  for (const state of states) void state.promise?.then(() => (state.isResolved = true))
  await new Promise((resolve) => setImmediate(resolve))
  return states.map(({ isResolved }) => isResolved)
}

describe('InputMemory', () => {
  test('blocks enter until the bound is reached, the rest in order as room comes back', async () => {
    const memory = new InputMemory(100)
    const entries = [memory.reserve(60), memory.reserve(40), memory.reserve(50), memory.reserve(10)]
    expect(await resolved(entries)).toEqual([true, true, false, false])
    memory.release(40)
    expect(await resolved(entries)).toEqual([true, true, false, false])
    memory.release(60)
    expect(await resolved(entries)).toEqual([true, true, true, true])
    expect(memory.usedBytes).toBe(60)
  })

  test('a block larger than the bound enters when it is alone', async () => {
    const memory = new InputMemory(100)
    expect(memory.reserve(500)).toBeNull()
    const next = memory.reserve(1)
    expect(await resolved([next])).toEqual([false])
    memory.release(500)
    expect(await resolved([next])).toEqual([true])
  })

  test('once the bound is lifted, those who wait and all later ones enter', async () => {
    const memory = new InputMemory(10)
    const entries = [memory.reserve(10), memory.reserve(10), memory.reserve(10)]
    memory.lift()
    expect(await resolved([...entries, memory.reserve(1000)])).toEqual([true, true, true, true])
  })

  test('the estimate follows the size of the records', () => {
    const small = estimateBytes(Array.from({ length: 100 }, () => 'x'))
    const large = estimateBytes(Array.from({ length: 100 }, () => 'x'.repeat(1000)))
    expect(large).toBeGreaterThan(20 * small)
    expect(estimateBytes([])).toBe(0)
    const deep: Record<string, unknown> = {}
    deep.self = deep
    expect(estimateBytes([deep])).toBeGreaterThan(0)
  })
})
