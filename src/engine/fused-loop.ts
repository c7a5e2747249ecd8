/**
 * Chains of narrow operations as one loop: no closure, promise or iterator per record, and arrays only where the user's own
 * functions make them. V8 inlines a function where it is the only one called, so functions that see many records get a loop of
 * their own; those that see few share one with others of the same shape, which costs nothing to make.
 */
import { MillraceError, toError } from '../errors.js'
import { isTaskFunction, type TaskFunction } from '../rdd/task-function.js'
import { withoutSecrets } from '../secrets.js'
import {
  compileLoop,
  type FusedLoop,
  type FusedOperation,
  type LoopCode,
  LoopFailure,
  loopCode,
  type Terminal,
} from './loop-code.js'

export type { FusedLoop, FusedOperation, Terminal } from './loop-code.js'
export { FoldState } from './loop-code.js'

/** Loops shared by everything of the same shape. Bounded: a program whose graphs never repeat would otherwise keep every loop it ever had. */
const shared = new Map<string, ReturnType<typeof compileLoop>>()
const sharedMax = 1000

/** Records after which a set of functions gets a loop of its own: compiling one costs about as much as running them. */
const ownLoopAfter = 1 << 14

/** What is known of one set of functions: how many records they saw, and their own loops, by code. */
interface Seen {
  records: number
  readonly loops: Map<string, FusedLoop>
  readonly next: WeakMap<object, Seen>
}

const noFunctions: Seen = newSeen()

/** The loop for a chain of operations. What it throws names the operator and shows the record. */
export function fusedLoop(operations: readonly FusedOperation[], terminal: Terminal): FusedLoop {
  const code = loopCode(operations, terminal)
  const seen = seenOf(code.values)
  let own = seen.loops.get(code.body)
  let loop = own ?? sharedLoop(code)
  return (records, from, to, out) => {
    seen.records += to - from
    if (own === undefined && seen.records > ownLoopAfter) {
      own = compileLoop(code)(code.values)
      seen.loops.set(code.body, own)
      loop = own
    }
    try {
      loop(records, from, to, out)
    } catch (thrown) {
      if (!(thrown instanceof LoopFailure)) throw thrown
      const f = operations[thrown.step]?.f ?? terminalFunction(terminal)
      throw recordFailure(thrown.error, f, thrown.record)
    }
  }
}

function terminalFunction(terminal: Terminal): TaskFunction | null {
  if (terminal.type === 'fold') return terminal.add
  return terminal.type === 'combine' ? terminal.merge : null
}

function sharedLoop(code: LoopCode): FusedLoop {
  let make = shared.get(code.body)
  if (make === undefined) {
    if (shared.size >= sharedMax) shared.clear()
    make = compileLoop(code)
    shared.set(code.body, make)
  }
  return make(code.values)
}

/** Kept as long as the functions live, and no longer. */
function seenOf(values: readonly unknown[]): Seen {
  let seen = noFunctions
  for (const value of values) {
    if (typeof value !== 'function') continue
    let next = seen.next.get(value)
    if (next === undefined) {
      next = newSeen()
      seen.next.set(value, next)
    }
    seen = next
  }
  return seen
}

function newSeen(): Seen {
  return { records: 0, loops: new Map(), next: new WeakMap() }
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

/** A record as text for an error message, at most 200 characters; what may be a secret by its name is hidden. */
function preview(record: unknown): string {
  let text: string
  try {
    text =
      typeof record === 'string'
        ? JSON.stringify(withoutSecrets(record.slice(0, previewCharacters)))
        : withoutSecrets(JSON.stringify(record) ?? String(record))
  } catch {
    text = String(record)
  }
  return text.length > previewCharacters ? `${text.slice(0, previewCharacters)}…` : text
}
