/**
 * Functions as tasks find them. A task may run in another thread or process, where a closure cannot go; so a function is
 * named when the graph is built, and every worker, having built the same graph, finds its own copy under that name.
 *
 *   user     a function of the user's, numbered in the order its operator received it: `3-map/0`
 *   library  one of Millrace's own, a registered factory applied to plain data and to other task functions
 *
 * Only the names and the data cross a boundary; `call` is filled in again on the other side (see `resolveFunction`).
 */
import { assertFunction } from '../arguments.js'
import { MillraceError } from '../errors.js'
import type { Time } from '../time.js'

// biome-ignore lint/suspicious/noExplicitAny: the types of a function are known where it is given and where it is called, not here
export type AnyFunction = (...values: any[]) => any

export interface UserFunction {
  readonly type: 'user'
  /** `<operator id>/<number>`, or null for a function that exists in this process only, such as one given inside `foreachRDD`. */
  readonly id: string | null
  /** The batch whose `transform` callback made it, or null when it is the same in every batch. */
  readonly time: Time | null
  readonly call: AnyFunction
}

export interface LibraryFunction {
  readonly type: 'library'
  readonly name: string
  readonly args: readonly unknown[]
  readonly call: AnyFunction
}

export type TaskFunction = UserFunction | LibraryFunction

/** The operator whose functions are being named, while it builds its RDDs. */
export class FunctionScope {
  static #current: FunctionScope | null = null

  readonly operator: string
  readonly time: Time | null
  /** The functions named so far, by number. */
  readonly functions: AnyFunction[] = []

  constructor(operator: string, time: Time | null) {
    this.operator = operator
    this.time = time
  }

  /** Runs `body`; every user function it gives to an RDD gets a name of this scope. `body` must not be async. */
  run<R>(body: () => R): R {
    const outer = FunctionScope.#current
    FunctionScope.#current = this
    try {
      return body()
    } finally {
      FunctionScope.#current = outer
    }
  }

  /** The name for the next function given, in the scope that is open, if one is. */
  static name(call: AnyFunction): UserFunction {
    const scope = FunctionScope.#current
    assertFunction(call, scope?.operator ?? 'An RDD operation')
    if (scope === null) return { type: 'user', id: null, time: null, call }
    const id = `${scope.operator}/${scope.functions.push(call) - 1}`
    return { type: 'user', id, time: scope.time, call }
  }
}

/** Names a user's function in the open scope. Each public RDD operation calls this once per function, in argument order, before it branches. */
export function userFunction(call: AnyFunction): UserFunction {
  return FunctionScope.name(call)
}

/**
 * A library function as code, for loops that are generated: it gets the code of its arguments, each as a function of the code
 * of that argument's inputs (a plain value takes none), and then the code of its own inputs. What it gives is an expression.
 */
export type InlineCode = (...args: ((...inputs: string[]) => string)[]) => (...inputs: string[]) => string

interface LibraryEntry {
  readonly factory: AnyFunction
  readonly inline: InlineCode | null
  /** What the factory made of no arguments, or of one function: tasks see the same function in every batch. */
  made: AnyFunction | null
  readonly madeOf: WeakMap<AnyFunction, AnyFunction>
}

const library = new Map<string, LibraryEntry>()

/** What stands for a factory's parameter where the function is made: a TaskFunction for a function. */
type LibraryArgument<T> = T extends AnyFunction ? TaskFunction : T

/**
 * Registers a function of Millrace's own under a stable name: `factory(...args)` makes the function a task calls. An argument
 * that is a TaskFunction reaches the factory as the plain function. The factory may be asked once for many uses, so what it
 * makes must not remember anything from one call to the next. `inline` says the same as code, where it is a short expression.
 */
export function libraryFunction<A extends readonly unknown[]>(
  name: string,
  factory: (...args: A) => AnyFunction,
  inline: InlineCode | null = null,
): (...args: { [I in keyof A]: LibraryArgument<A[I]> }) => LibraryFunction {
  if (library.has(name)) throw new MillraceError('INTERNAL', `Library function ${name} is registered twice.`)
  const entry: LibraryEntry = { factory: factory as AnyFunction, inline, made: null, madeOf: new WeakMap() }
  library.set(name, entry)
  return (...args) => ({ type: 'library', name, args, call: applyLibrary(entry, args) })
}

/** A task function without its `call`: what crosses a boundary. */
export type FunctionData =
  | { readonly type: 'user'; readonly id: string; readonly time: Time | null }
  | { readonly type: 'library'; readonly name: string; readonly args: readonly unknown[] }

/** True if a worker can find this function, and every function inside it, by name. */
export function canTravel(f: TaskFunction): boolean {
  return f.type === 'user' ? f.id !== null : f.args.every((arg) => !isTaskFunction(arg) || canTravel(arg))
}

/** The function as data. Throws `FUNCTION_NOT_FOUND` for one that exists in this process only. */
export function functionToData(f: TaskFunction): FunctionData {
  if (f.type === 'library') {
    return {
      type: 'library',
      name: f.name,
      args: f.args.map((arg) => (isTaskFunction(arg) ? functionToData(arg) : arg)),
    }
  }
  if (f.id === null) {
    throw new MillraceError(
      'FUNCTION_NOT_FOUND',
      `The function ${f.call.name || '(anonymous)'} exists in the driver only.`,
    )
  }
  return { type: 'user', id: f.id, time: f.time }
}

/** The function again, `find` looking up the user functions by name in this process's graph. */
export function resolveFunction(
  data: FunctionData,
  find: (id: string, time: Time | null) => AnyFunction,
): TaskFunction {
  if (data.type === 'user') return { ...data, call: find(data.id, data.time) }
  const entry = library.get(data.name)
  if (entry === undefined)
    throw new MillraceError('FUNCTION_NOT_FOUND', `This version has no library function ${data.name}.`)
  const args = data.args.map((arg) => (isFunctionData(arg) ? resolveFunction(arg, find) : arg))
  return { type: 'library', name: data.name, args, call: applyLibrary(entry, args) }
}

/** How a library function is written as code, or null. */
export function inlineCode(f: LibraryFunction): InlineCode | null {
  return library.get(f.name)?.inline ?? null
}

function applyLibrary(entry: LibraryEntry, args: readonly unknown[]): AnyFunction {
  const values = args.map((arg) => (isTaskFunction(arg) ? arg.call : arg))
  if (values.length === 0) {
    entry.made ??= entry.factory() as AnyFunction
    return entry.made
  }
  const [only] = values
  if (values.length > 1 || typeof only !== 'function') return entry.factory(...values)
  let made = entry.madeOf.get(only as AnyFunction)
  if (made === undefined) {
    made = entry.factory(only) as AnyFunction
    entry.madeOf.set(only as AnyFunction, made)
  }
  return made
}

/** True for a task function among the arguments of another. */
export function isTaskFunction(value: unknown): value is TaskFunction {
  return isFunctionData(value) && typeof (value as { call?: unknown }).call === 'function'
}

function isFunctionData(value: unknown): value is FunctionData {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { type, id, args } = value as { type?: unknown; id?: unknown; args?: unknown }
  return (type === 'user' && id !== undefined) || (type === 'library' && Array.isArray(args))
}
