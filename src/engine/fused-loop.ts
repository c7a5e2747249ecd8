/**
 * Chains of narrow operations as one loop: no closure, promise or iterator per record, and arrays only where the user's own
 * functions make them. V8 inlines a function where it is the only one called, so functions that see many records get a loop of
 * their own; those that see few share one with others of the same shape, which costs nothing to make.
 */
import { operatorFailure } from '../rdd/operator-failure.js'
import type { TaskFunction } from '../rdd/task-function.js'
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
      throw operatorFailure(thrown.error, f, thrown.record)
    }
  }
}

function terminalFunction(terminal: Terminal): TaskFunction | null {
  switch (terminal.type) {
    case 'fold':
      return terminal.add
    case 'combine':
      return terminal.merge
    case 'call':
      return terminal.f
    default:
      return null
  }
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
