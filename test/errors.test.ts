/** Errors as data: whatever is thrown crosses a thread or a process, and ends somewhere. */
import { describe, expect, it } from 'vitest'
import { explain } from '../src/error-text.js'
import { causesOf, errorFromData, errorToData, MillraceError } from '../src/errors.js'

describe('What was thrown', () => {
  it('comes back with name, message, stack, code and causes', () => {
    const cause = Object.assign(new RangeError('too far'), { code: 'E_FAR' })
    const error = new MillraceError('TASK_FAILED', 'A task failed', { cause, details: { partition: 1 } })
    const again = errorFromData(JSON.parse(JSON.stringify(errorToData(error))))
    expect(again).toBeInstanceOf(MillraceError)
    expect(again).toMatchObject({ code: 'TASK_FAILED', message: 'A task failed', details: { partition: 1 } })
    expect(again.stack).toBe(error.stack)
    expect(again.cause).toMatchObject({ name: 'RangeError', message: 'too far', code: 'E_FAR' })
  })

  it('may be its own cause', () => {
    const error = new Error('round')
    error.cause = error
    expect([...causesOf(error)]).toHaveLength(16)
    expect([...causesOf(errorFromData(errorToData(error)))]).toHaveLength(16)
    expect(explain(new MillraceError('TASK_FAILED', 'A task failed', { cause: error }))).toContain('round')
  })

  it('is shown when it is no error', () => {
    const shown = [{ code: 5 }, Object.create(null), null, 'text', Symbol('s')].map((it) => errorToData(it).message)
    const values = ['{ code: 5 }', '[Object: null prototype] {}', 'null', 'text', 'Symbol(s)']
    expect(shown).toEqual(values.map((value) => `Thrown value that is not an Error: ${value}`))
  })
})
