/**
 * Keys compare by value, as Spark's tuples and case classes do: `[1, 'a']` and `{ x: 1 }` find their equals. Primitive keys
 * take the fast path, a plain `Map`. The hash of a key is the same in every thread, process and engine.
 */

/** A string that two keys share exactly when they are equal by value. Object fields count in any order. */
export function canonicalKey(key: unknown): string {
  switch (typeof key) {
    case 'string':
      return `s${key.length}:${key}`
    case 'number':
      return `n${key === 0 ? 0 : key}`
    case 'bigint':
      return `i${key}`
    case 'boolean':
      return key ? 't' : 'f'
    case 'undefined':
      return 'u'
    case 'object':
      return key === null ? 'z' : canonicalObject(key)
    default:
      throw new TypeError(`A ${typeof key} cannot be a key: it has no value to compare.`)
  }
}

function canonicalObject(key: object): string {
  // The holes of a sparse array count as undefined, as they do once they have travelled.
  if (Array.isArray(key)) return `[${Array.from(key, canonicalKey).join(',')}]`
  if (key instanceof Date) return `d${key.getTime()}`
  if (ArrayBuffer.isView(key)) {
    const bytes = new Uint8Array(key.buffer, key.byteOffset, key.byteLength)
    return `b${key.constructor.name}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')}`
  }
  if (key instanceof Map)
    return `m{${canonicalSorted([...key].map(([k, v]) => `${canonicalKey(k)}=${canonicalKey(v)}`))}}`
  if (key instanceof Set) return `e{${canonicalSorted([...key].map(canonicalKey))}}`
  if (key instanceof ArrayBuffer) return `b${Buffer.from(key).toString('latin1')}`
  const fields = Object.entries(key).filter(([, value]) => value !== undefined && typeof value !== 'function')
  if (fields.length === 0 && !isPlain(key)) {
    throw new TypeError(`An instance of ${key.constructor.name} cannot be a key: it has no fields to compare.`)
  }
  return `{${canonicalSorted(fields.map(([name, value]) => `${canonicalKey(name)}=${canonicalKey(value)}`))}}`
}

function isPlain(key: object): boolean {
  const prototype = Object.getPrototypeOf(key)
  return prototype === Object.prototype || prototype === null
}

function canonicalSorted(parts: string[]): string {
  return parts.sort().join(',')
}

/** What a plain Map can hold in a key's place: the key itself when it is primitive, else text that no other key has. */
export function identityOf(key: unknown): unknown {
  if (typeof key === 'string') return key.charCodeAt(0) === 0 ? `\0${canonicalKey(key)}` : key
  return typeof key === 'object' && key !== null ? `\0${canonicalKey(key)}` : key
}

/** A 32-bit hash of a key; equal keys have equal hashes. Null and undefined hash to 0. */
export function hashKey(key: unknown): number {
  switch (typeof key) {
    case 'string':
      return hashString(key)
    case 'number':
      // Small whole numbers go to neighbouring partitions, as Integer.hashCode sends them; others by their text.
      return Number.isInteger(key) && Math.abs(key) <= 0x7fff_ffff ? key | 0 : hashString(String(key))
    case 'boolean':
      return key ? 1231 : 1237
    case 'undefined':
      return 0
    case 'bigint':
      return hashString(String(key))
    default:
      return key === null ? 0 : hashString(canonicalKey(key))
  }
}

function hashString(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  // The last step spreads the low bits, which a small number of partitions would otherwise see alone.
  return hash ^ (hash >>> 15)
}

/**
 * Orders two keys: numbers and bigints by value, text by code unit, dates by time, arrays element by element. Null and
 * undefined come before everything; NaN and dates without a time come after it, as in Spark's order of doubles.
 */
export function compareKeys(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compareKeys(a[i], b[i])
      if (order !== 0) return order
    }
    return a.length - b.length
  }
  // `<` would take null for 0.
  if (a === null || b === null) return orderedApart(a) - orderedApart(b)
  const x = a as number
  const y = b as number
  if (x < y) return -1
  if (x > y) return 1
  return x === y ? 0 : orderedApart(a) - orderedApart(b)
}

/** Where what `<` places nowhere belongs: -1 before all other keys, 1 after them. */
function orderedApart(key: unknown): number {
  if (key === null || key === undefined) return -1
  return Number.isNaN(key instanceof Date ? key.getTime() : key) ? 1 : 0
}

/** A mutable map whose keys compare by value. Iterates in order of first insertion within primitive keys, then within composite ones. */
export class KeyedMap<V> {
  readonly #primitive = new Map<unknown, V>()
  #composite: Map<string, { key: unknown; value: V }> | null = null

  get size(): number {
    return this.#primitive.size + (this.#composite?.size ?? 0)
  }

  get(key: unknown): V | undefined {
    if (typeof key !== 'object' || key === null) return this.#primitive.get(key)
    return this.#composite?.get(canonicalKey(key))?.value
  }

  has(key: unknown): boolean {
    if (typeof key !== 'object' || key === null) return this.#primitive.has(key)
    return this.#composite?.has(canonicalKey(key)) ?? false
  }

  set(key: unknown, value: V): this {
    if (typeof key !== 'object' || key === null) {
      this.#primitive.set(key, value)
      return this
    }
    this.#composite ??= new Map()
    const canonical = canonicalKey(key)
    const entry = this.#composite.get(canonical)
    if (entry === undefined) this.#composite.set(canonical, { key, value })
    else entry.value = value
    return this
  }

  delete(key: unknown): boolean {
    if (typeof key !== 'object' || key === null) return this.#primitive.delete(key)
    return this.#composite?.delete(canonicalKey(key)) ?? false
  }

  *entries(): Generator<[unknown, V]> {
    yield* this.#primitive
    if (this.#composite !== null) for (const { key, value } of this.#composite.values()) yield [key, value]
  }

  [Symbol.iterator](): Generator<[unknown, V]> {
    return this.entries()
  }
}
