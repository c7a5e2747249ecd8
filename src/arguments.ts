/** What a user gave as an argument, looked at before it is used: JavaScript, and TypeScript whose types nobody checked, give anything. */
import { MillraceError } from './errors.js'

/** What a value is, in words: `null`, `the function build`, `an object of Map`, `the number 3`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') {
    const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? 'class' : 'function'
    return `the ${kind} ${value.name || '(anonymous)'}`
  }
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return `an object of ${value.constructor?.name ?? 'no class'}`
  return `the ${typeof value} ${String(value).slice(0, 40)}`
}

/** Throws `ILLEGAL_ARGUMENT` unless `value` is a function. `taker` is what was called, such as `foreachRDD`. */
export function assertFunction(value: unknown, taker: string): void {
  if (typeof value !== 'function') {
    throw new MillraceError('ILLEGAL_ARGUMENT', `${taker} needs a function, not ${kindOf(value)}.`)
  }
}

/** Throws `ILLEGAL_ARGUMENT` unless `value` is an object with no other properties than those `known`. */
export function assertOptions(value: unknown, taker: string, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null) {
    throw new MillraceError('ILLEGAL_ARGUMENT', `${taker} needs { ${known.join(', ')} }, not ${kindOf(value)}.`)
  }
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `${taker} has no option ${name}. Its options are ${known.join(', ')}.`,
      )
    }
  }
}
