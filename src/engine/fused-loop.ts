/**
 * Chains of narrow operations as one loop. For each chain of an operator graph a function of its own is generated, so that
 * V8 sees the user's functions at call sites no other chain shares, and inlines them: one loop, no closure, promise or
 * iterator per record, and arrays only where the user's own functions make them.
 *
 * For `map(f).filter(g)` into an array the generated function is, without its error handling:
 *
 *   for (; i < to; i++) { const v0 = records[i]; const v1 = f0(v0); if (!f1(v1)) continue; out.push(v1) }
 */
import { MillraceError, toError } from '../errors.js'
import type { NarrowOperation } from '../rdd/lineage.js'
import type { AnyFunction, TaskFunction } from '../rdd/task-function.js'

/** The operations that take one record at a time. */
export type FusedOperation = Extract<
  NarrowOperation,
  { type: 'map' | 'filter' | 'flatMap' | 'mapValues' | 'flatMapValues' }
>

/** What happens to a record that leaves the loop: pushed onto an array, given to a function, or folded into `state.value`. */
export type Terminal = 'push' | 'call' | 'fold'

/** The state of a fold between two calls of its loop. */
export interface FoldState {
  value: unknown
}

/** `loop(records, from, to, out)`: `out` is an array, a function or `{ state, add }`, as the terminal says. */
export type FusedLoop = (records: readonly unknown[], from: number, to: number, out: unknown) => void

type GeneratedLoop = (
  functions: readonly AnyFunction[],
  fail: (error: unknown, step: number, record: unknown) => never,
  records: readonly unknown[],
  from: number,
  to: number,
  out: unknown,
) => void

/** Chains seen so far. Bounded: a program whose graphs never repeat would otherwise keep every loop it ever had. */
const generated = new Map<string, GeneratedLoop>()
const generatedMax = 2000

/** The loop for a chain of operations with the functions bound. */
export function fusedLoop(operations: readonly FusedOperation[], terminal: Terminal): FusedLoop {
  const key = `${terminal}|${operations.map((operation) => `${operation.type}:${functionKey(operation.f)}`).join('|')}`
  let loop = generated.get(key)
  if (loop === undefined) {
    if (generated.size >= generatedMax) generated.clear()
    loop = generate(operations, terminal)
    generated.set(key, loop)
  }
  const functions = operations.map((operation) => operation.f.call)
  const fail = (error: unknown, step: number, record: unknown): never => {
    throw recordFailure(error, operations[step]?.f ?? null, record)
  }
  const run = loop
  return (records, from, to, out) => run(functions, fail, records, from, to, out)
}

/** Identifies a function across batches; nested library functions by their parts. */
function functionKey(f: TaskFunction): string {
  if (f.type === 'user') return f.id ?? '-'
  const args = f.args.map((arg) => (isTaskFunction(arg) ? functionKey(arg) : ''))
  return `${f.name}(${args.join(',')})`
}

function isTaskFunction(value: unknown): value is TaskFunction {
  return typeof value === 'object' && value !== null && 'call' in value && 'type' in value
}

function generate(operations: readonly FusedOperation[], terminal: Terminal): GeneratedLoop {
  const open: string[] = []
  let close = ''
  operations.forEach(({ type }, n) => {
    const record = `v${n}`
    const next = `v${n + 1}`
    open.push(`step = ${n};`)
    switch (type) {
      case 'map':
        open.push(`const ${next} = f${n}(${record});`)
        break
      case 'filter':
        open.push(`if (!f${n}(${record})) continue; const ${next} = ${record};`)
        break
      case 'mapValues':
        open.push(`const ${next} = [${record}[0], f${n}(${record}[1])];`)
        break
      case 'flatMap':
        open.push(`const a${n} = asArray(f${n}(${record}));`)
        open.push(`for (let j${n} = 0; j${n} < a${n}.length; j${n}++) { const ${next} = a${n}[j${n}];`)
        close += '}'
        break
      case 'flatMapValues':
        open.push(`const a${n} = asArray(f${n}(${record}[1]));`)
        open.push(`for (let j${n} = 0; j${n} < a${n}.length; j${n}++) { const ${next} = [${record}[0], a${n}[j${n}]];`)
        close += '}'
        break
    }
  })
  const last = `v${operations.length}`
  const end = { push: `out.push(${last});`, call: `out(${last});`, fold: `acc = add(acc, ${last});` }[terminal]
  const fold = terminal === 'fold'
  const body = `
    ${operations.map((_, n) => `const f${n} = functions[${n}];`).join(' ')}
    ${fold ? 'const add = out.add; let acc = out.state.value;' : ''}
    let step = 0, i = from
    try {
      for (; i < to; i++) {
        const v0 = records[i];
        ${open.join('\n')}
        step = ${operations.length}; ${end} ${close}
      }
    } catch (error) { fail(error, step, records[i]) }
    ${fold ? 'out.state.value = acc' : ''}`
  return new Function('asArray', `return function (functions, fail, records, from, to, out) {${body}}`)(
    asArray,
  ) as GeneratedLoop
}

function asArray(value: Iterable<unknown>): readonly unknown[] {
  return Array.isArray(value) ? value : Array.from(value)
}

/** The error of one record: names the operator and shows the record, shortened. */
function recordFailure(thrown: unknown, f: TaskFunction | null, record: unknown): MillraceError {
  if (MillraceError.is(thrown, 'TASK_FAILED')) return thrown
  const operator = f === null ? null : operatorOf(f)
  const error = toError(thrown)
  const shown = preview(record)
  return new MillraceError(
    'TASK_FAILED',
    `${operator === null ? 'An operation' : `Operator ${operator}`} failed on record ${shown}: ${error.message}`,
    { cause: error, details: { operator, record: shown } },
  )
}

function operatorOf(f: TaskFunction): string | null {
  if (f.type === 'user') return f.id?.replace(/\/\d+$/, '') ?? (f.call.name || null)
  for (const arg of f.args) {
    if (isTaskFunction(arg)) {
      const operator = operatorOf(arg)
      if (operator !== null) return operator
    }
  }
  return f.name
}

const previewCharacters = 200

/** A record as text for an error message, at most 200 characters. */
export function preview(record: unknown): string {
  let text: string
  try {
    text =
      typeof record === 'string'
        ? JSON.stringify(record.slice(0, previewCharacters))
        : (JSON.stringify(record) ?? String(record))
  } catch {
    text = String(record)
  }
  return text.length > previewCharacters ? `${text.slice(0, previewCharacters)}…` : text
}
