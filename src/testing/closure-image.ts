/**
 * Closures as data, for tests: the harness sends the function that builds a graph to executor threads, with the variables it
 * captures and the functions among them. Jobs travel as modules and never like this: it reads captured variables through the
 * debugger's protocol, copies what it finds, and refuses the rest by name.
 */

import { type InspectorNotification, Session } from 'node:inspector'
import { createRequire } from 'node:module'

/** One captured value; others are referred to by their place in the image. */
export type ImageValue =
  /** Anything `postMessage` copies. */
  | { readonly type: 'data'; readonly value: unknown }
  | { readonly type: 'array'; readonly items: readonly number[] }
  | { readonly type: 'object'; readonly entries: readonly (readonly [string, number])[] }
  | {
      readonly type: 'instance'
      readonly constructor: number
      readonly entries: readonly (readonly [string, number])[]
    }
  | { readonly type: 'map'; readonly entries: readonly (readonly [number, number])[] }
  | { readonly type: 'set'; readonly items: readonly number[] }
  | { readonly type: 'function'; readonly source: string; readonly captured: readonly (readonly [string, number])[] }
  /** An export of this library. */
  | { readonly type: 'export'; readonly name: string }
  | { readonly type: 'builtin'; readonly module: string; readonly name: string | null }
  | { readonly type: 'missing'; readonly what: string }

export interface ClosureImage {
  readonly root: number
  readonly values: readonly ImageValue[]
}

/** The function as data. `library` holds the library's own values by name: they are found again, not copied. */
export function closureImage(
  f: (...args: never[]) => unknown,
  library: Readonly<Record<string, unknown>>,
): ClosureImage {
  const session = new Session()
  session.connect()
  try {
    const reader = new ClosureReader(session, library)
    const root = reader.add(f, '')
    return { root, values: reader.values }
  } finally {
    session.disconnect()
  }
}

/** Where the debugger leaves a value for us: its protocol gives only descriptions. */
const taken = Symbol.for('millrace.testing.taken')

/** Node's modules a function of a test may use. */
const builtinsOfTests = [
  'assert',
  'buffer',
  'crypto',
  'events',
  'fs',
  'os',
  'path',
  'perf_hooks',
  'timers',
  'url',
  'util',
  'zlib',
]

interface RemoteValue {
  readonly type: string
  readonly value?: unknown
  readonly unserializableValue?: string
  readonly objectId?: string
  readonly description?: string
}

interface RemoteProperty {
  readonly name: string
  readonly value?: RemoteValue
}

class ClosureReader {
  readonly values: ImageValue[] = []
  readonly #session: Session
  readonly #known = new Map<unknown, number>()
  readonly #exports: ReadonlyMap<unknown, ImageValue>

  constructor(session: Session, library: Readonly<Record<string, unknown>>) {
    this.#session = session
    const exports = new Map<unknown, ImageValue>()
    const require = createRequire(import.meta.url)
    for (const module of builtinsOfTests) {
      const loaded: unknown = require(`node:${module}`)
      exports.set(loaded, { type: 'builtin', module, name: null })
      for (const [name, value] of Object.entries(loaded as object)) {
        if (typeof value === 'function') exports.set(value, { type: 'builtin', module, name })
      }
    }
    for (const [name, value] of Object.entries(library)) {
      if (typeof value === 'function' || typeof value === 'object') exports.set(value, { type: 'export', name })
    }
    this.#exports = exports
  }

  /** The place of `value`; `source` is the text of the function that refers to it. */
  add(value: unknown, source: string): number {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
      return this.values.push(typeof value === 'symbol' ? missing('a symbol') : { type: 'data', value }) - 1
    }
    const isNamespace = Object.prototype.toString.call(value) === '[object Module]' || isTransformed(value)
    const known = this.#known.get(value)
    if (known !== undefined && !isNamespace) return known
    const place = this.values.push(missing('a value that is being read')) - 1
    this.#known.set(value, place)
    this.values[place] = this.#exports.get(value) ?? this.#read(value, isNamespace ? source : null, source)
    return place
  }

  #read(value: object, namespaceOf: string | null, source: string): ImageValue {
    if (typeof value === 'function') return this.#function(value as (...args: never[]) => unknown)
    if (Array.isArray(value)) return { type: 'array', items: value.map((item) => this.add(item, source)) }
    if (value instanceof Map) {
      return { type: 'map', entries: [...value].map(([k, v]) => [this.add(k, source), this.add(v, source)]) }
    }
    if (value instanceof Set) return { type: 'set', items: [...value].map((item) => this.add(item, source)) }
    if (value instanceof Date || value instanceof RegExp || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
      return { type: 'data', value }
    }
    const names = Object.keys(value).filter((name) => namespaceOf === null || mentions(namespaceOf, name))
    const entries = names.map((name): [string, number] => [
      name,
      this.add((value as Record<string, unknown>)[name], source),
    ])
    const prototype = Object.getPrototypeOf(value) as { constructor?: unknown } | null
    if (prototype === null || prototype === Object.prototype || namespaceOf !== null) return { type: 'object', entries }
    if (typeof prototype.constructor !== 'function') return missing('an object without a class')
    return { type: 'instance', constructor: this.add(prototype.constructor, source), entries }
  }

  #function(f: (...args: never[]) => unknown): ImageValue {
    const source = Function.prototype.toString.call(f)
    if (/\{\s*\[native code\]\s*\}$/.test(source)) {
      if ((globalThis as Record<string, unknown>)[f.name] === f) return { type: 'builtin', module: '', name: f.name }
      return missing(`the native function ${f.name}`)
    }
    const captured: [string, number][] = []
    const found = new Set<string>()
    for (const scope of this.#scopesOf(f)) {
      for (const { name, value } of scope) {
        if (value === undefined || found.has(name) || !mentions(source, name)) continue
        found.add(name)
        captured.push([name, this.add(this.#take(value), source)])
      }
    }
    return { type: 'function', source, captured }
  }

  /** The variables around a function, the nearest scope first; the global one is left out. */
  #scopesOf(f: unknown): RemoteProperty[][] {
    const holder = globalThis as Record<symbol, unknown>
    holder[taken] = f
    const { result } = this.#post('Runtime.evaluate', {
      expression: "globalThis[Symbol.for('millrace.testing.taken')]",
    }) as { result: RemoteValue }
    const { internalProperties } = this.#post('Runtime.getProperties', {
      objectId: result.objectId!,
      ownProperties: true,
    }) as { internalProperties?: RemoteProperty[] }
    const scopes = internalProperties?.find(({ name }) => name === '[[Scopes]]')?.value?.objectId
    if (scopes === undefined) return []
    return this.#propertiesOf(scopes)
      .filter(({ value }) => value?.objectId !== undefined && value.description !== 'Global')
      .map(({ value }) => this.#propertiesOf(value!.objectId!))
  }

  #propertiesOf(objectId: string): RemoteProperty[] {
    const { result } = this.#post('Runtime.getProperties', { objectId, ownProperties: true }) as {
      result: RemoteProperty[]
    }
    return result
  }

  #take(remote: RemoteValue): unknown {
    if (remote.objectId !== undefined) {
      this.#post('Runtime.callFunctionOn', {
        objectId: remote.objectId,
        functionDeclaration: "function () { globalThis[Symbol.for('millrace.testing.taken')] = this }",
      })
      return (globalThis as Record<symbol, unknown>)[taken]
    }
    const text = remote.unserializableValue
    if (text === undefined) return remote.type === 'undefined' ? undefined : remote.value
    return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text)
  }

  /** The answer comes before `post` returns, since the session is this thread's own. */
  #post(method: string, params: object): unknown {
    let answer: unknown
    this.#session.post(method, params, (error: Error | null, result?: object | InspectorNotification<object>) => {
      if (error !== null) throw error
      answer = result
    })
    return answer
  }
}

function missing(what: string): ImageValue {
  return { type: 'missing', what }
}

/** True if the text has this word: a variable may be meant by it. */
function mentions(source: string, name: string): boolean {
  for (let at = source.indexOf(name); at >= 0; at = source.indexOf(name, at + 1)) {
    if (!/[\w$]/.test(source[at - 1] ?? ' ') && !/[\w$]/.test(source[at + name.length] ?? ' ')) return true
  }
  return false
}

/** True for the exports of a module as a test runner's transform keeps them: an object of getters. */
function isTransformed(value: object): boolean {
  return (
    typeof value === 'object' &&
    ((value as { __esModule?: unknown }).__esModule === true ||
      (value as Record<symbol, unknown>)[Symbol.toStringTag] === 'Module')
  )
}
