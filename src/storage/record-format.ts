/** What the two sides of the record serializer agree on: the version, the tags of values, and classes of Millrace's own. */

/** First byte of every serialized array of records. */
export const formatVersion = 1
/** How a single value is written. The numbers are part of the format. */
export const Tag = {
  undefined: 0,
  null: 1,
  true: 2,
  false: 3,
  number: 4,
  text: 5,
  bigint: 6,
  date: 7,
  array: 8,
  object: 9,
  map: 10,
  set: 11,
  buffer: 12,
  arrayBuffer: 13,
  typedArray: 14,
  count: 15,
  storable: 16,
} as const

export const typedArrays: readonly { readonly prototype: ArrayBufferView }[] = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
]

export interface Storable {
  readonly name: string
  readonly pack: (instance: never) => unknown
  readonly unpack: (data: never) => unknown
}

export const storableByPrototype: Map<object, Storable> = new Map<object, Storable>()
export const storableByName: Map<string, Storable> = new Map<string, Storable>()

/**
 * Lets instances of a class of Millrace's own be stored: `pack` gives plain data, `unpack` makes an equal instance of it. The
 * name is part of the format.
 */
export function storableClass<T extends object, D>(
  name: string,
  type: { readonly prototype: T },
  pack: (instance: T) => D,
  unpack: (data: D) => T,
): void {
  const storable = { name, pack, unpack }
  storableByPrototype.set(type.prototype, storable)
  storableByName.set(name, storable)
}
