/**
 * Writes the code of a fused loop. For `map(f).filter(g)` collected in an array it is, without its error handling:
 *
 *   for (; i < to; i++) { const v0 = records[i]; const v1 = f0(v0); if (!f1(v1)) continue; collected.push(v1) }
 *
 * User functions are bound as `f0`, `f1`, …; library functions that are short expressions are written out.
 */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import { keepShapes } from '../kept-shapes.js'
import type { NarrowOperation } from '../rdd/lineage.js'
import { noRecord } from '../rdd/reduction.js'
import { inlineCode, isTaskFunction, type TaskFunction } from '../rdd/task-function.js'

/** The operations that take one record at a time. */
export type FusedOperation = Extract<
  NarrowOperation,
  { type: 'map' | 'filter' | 'flatMap' | 'mapValues' | 'flatMapValues' }
>

/** What happens to a record that leaves the loop: collected, given to a function, folded into `state.value`, or combined by its key. */
export type Terminal =
  | { readonly type: 'collect' }
  /** `f` is the function that the called one calls in its turn, if it is the user's. */
  | { readonly type: 'call'; readonly f: TaskFunction | null }
  | { readonly type: 'fold'; readonly add: TaskFunction }
  | { readonly type: 'combine'; readonly create: TaskFunction; readonly merge: TaskFunction }

/** `loop(records, from, to, out)`: `out` is a RecordCollector, a function, a FoldState or a CombineTable, as the terminal says. */
export type FusedLoop = (records: readonly unknown[], from: number, to: number, out: unknown) => void

/** The state of a fold between two calls of its loop. */
export class FoldState {
  value: unknown

  constructor(value: unknown) {
    this.value = value
  }
}

keepShapes(new FoldState(0), new FoldState(0.5), new FoldState(''))

/** Code, and the values it is bound to, as `f0`, `f1`, …. Equal code with other values does the same with them. */
export interface LoopCode {
  readonly body: string
  readonly values: readonly unknown[]
}

/** What a loop throws when one of its functions did: the error, the operation it came from and the record. */
export class LoopFailure {
  readonly error: unknown
  readonly step: number
  readonly record: unknown

  constructor(error: unknown, step: number, record: unknown) {
    this.error = error
    this.step = step
    this.record = record
  }
}

export function loopCode(operations: readonly FusedOperation[], terminal: Terminal): LoopCode {
  const values: unknown[] = []
  const open: string[] = []
  let close = ''
  operations.forEach(({ type, f }, n) => {
    const record = `v${n}`
    const next = `v${n + 1}`
    if (n > 0) open.push(`step = ${n};`)
    switch (type) {
      case 'map':
        open.push(`const ${next} = ${callOf(f, [record], values)};`)
        break
      case 'filter':
        open.push(`if (!${callOf(f, [record], values)}) continue; const ${next} = ${record};`)
        break
      case 'mapValues':
        open.push(`const ${next} = [${record}[0], ${callOf(f, [`${record}[1]`], values)}];`)
        break
      case 'flatMap':
        open.push(`const a${n} = asArray(${callOf(f, [record], values)});`)
        open.push(`for (let j${n} = 0; j${n} < a${n}.length; j${n}++) { const ${next} = a${n}[j${n}];`)
        close += '}'
        break
      case 'flatMapValues':
        open.push(`const a${n} = asArray(${callOf(f, [`${record}[1]`], values)});`)
        open.push(`for (let j${n} = 0; j${n} < a${n}.length; j${n}++) { const ${next} = [${record}[0], a${n}[j${n}]];`)
        close += '}'
        break
    }
  })
  const steps = open.join('\n')
  const last = `v${operations.length}`
  const body = `
    let step = 0, i = from | 0
    to |= 0
    ${terminal.type === 'fold' ? 'let acc = out.value' : ''}
    ${terminal.type === 'collect' ? 'const collected = out.open()' : ''}
    ${terminal.type === 'combine' ? 'const table = out.primitive' : ''}
    try {
      ${loopsOf(terminal, (end) => `step = 0; const v0 = records[i]; ${steps} step = ${operations.length}; ${end} ${close}`, last, values, close === '')}
    } catch (error) { throw new LoopFailure(error, step, records[i]) }
    ${terminal.type === 'fold' ? 'out.value = acc' : ''}`
  return { body, values }
}

/** The loop; `bodyWith(end)` is what happens to one record, `end` to what is left of it. */
function loopsOf(
  terminal: Terminal,
  bodyWith: (end: string) => string,
  record: string,
  values: unknown[],
  isOneToOne: boolean,
): string {
  const every = (end: string): string => `for (; i < to; i++) { ${bodyWith(end)} }`
  if (terminal.type === 'collect') return every(`collected.push(${record});`)
  if (terminal.type === 'call') return every(`out(${record});`)
  if (terminal.type === 'combine') return every(combineCode(terminal, record, values))
  const add = (state: string): string => callOf(terminal.add, [state, record], values)
  if (!isOneToOne) return every(`acc = ${add('acc')};`)
  // A number that is known to be one stays in a register; as a value that may be anything it would be boxed for every record.
  return `while (i < to) {
        if (typeof acc === 'number') {
          let n = +acc, rest;
          isNumber: {
            for (; i < to; i++) { ${bodyWith(`const next = ${add('n')}; if (typeof next !== 'number') { rest = next; i++; break isNumber; } n = +next;`)} }
            rest = n;
          }
          acc = rest;
        } else for (; i < to; i++) { ${bodyWith(`acc = ${add('acc')}; if (typeof acc === 'number') { i++; break; }`)} }
      }`
}

/** Written out, so that V8 need not make the pair when the user's function that returns it is inlined. */
function combineCode({ create, merge }: Terminal & { type: 'combine' }, record: string, values: unknown[]): string {
  return `
    const key = ${record}[0], value = ${record}[1];
    if (typeof key === 'object' && key !== null) out.addComposite(key, value);
    else {
      const entry = table.get(key);
      if (entry === undefined) out.insert(key, ${callOf(create, ['value'], values)});
      else entry.value = ${callOf(merge, ['entry.value', 'value'], values)};
    }`
}

/** The code that calls `f`: written out when it can be, else a call of a bound value. */
function callOf(f: TaskFunction, inputs: string[], values: unknown[]): string {
  const inline = f.type === 'library' ? inlineCode(f) : null
  if (f.type === 'user' || inline === null) return `f${values.push(f.call) - 1}(${inputs.join(', ')})`
  const args = f.args.map((arg) => {
    if (isTaskFunction(arg)) return (...given: string[]): string => callOf(arg, given, values)
    const name = `f${values.push(arg) - 1}`
    return (): string => name
  })
  return `(${inline(...args)(...inputs)})`
}

let compiled = 0

/**
 * Makes loops of that code, one for each set of values. A loop that is the only one made has its values for constants, and
 * every call of this function compiles anew: V8 keeps what it learns of the calls of one apart from those of another.
 */
export function compileLoop({ body, values }: LoopCode): (values: readonly unknown[]) => FusedLoop {
  const names = values.map((_, n) => `f${n}`)
  // V8 would give equal source what it learnt before.
  const source = `/* ${compiled++} */ return function (records, from, to, out) {${body}}`
  const make = new Function('asArray', 'LoopFailure', 'noRecord', ...names, source)
  return (bound) => make(asArray, LoopFailure, noRecord, ...bound) as FusedLoop
}

function asArray(value: Iterable<unknown>): readonly unknown[] {
  if (Array.isArray(value)) return value
  // `Array.from` makes nothing of a promise, a number or a plain object: the record would be gone without a word.
  if (typeof value?.[Symbol.iterator] === 'function') return Array.from(value)
  throw new MillraceError(
    'ILLEGAL_ARGUMENT',
    `flatMap needs a function that returns an iterable, not ${kindOf(value)}.`,
  )
}
