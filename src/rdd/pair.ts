/** A keyed record, and the type that lets TypeScript read `[key, value]` as one. */

/** A key and its value. */
export type Pair<K, V> = readonly [key: K, value: V]

// biome-ignore lint/complexity/noBannedTypes: {} is exactly "anything but null and undefined", which is meant here
type AnyValue = {} | null | undefined

/**
 * Any value; the tuples in the union make TypeScript read `[w, 1]` as a pair, and `[[w, place], 1]` and `[w, [1, 1]]` as pairs
 * with a pair in them, not as arrays.
 */
export type Item = AnyValue | [] | [key: AnyValue | [], ...rest: (AnyValue | [])[]]

/** What a condition may give: anything to be taken as true or false, but no promise, which would always be true. */
export type Condition =
  | string
  | number
  | bigint
  | boolean
  | symbol
  | null
  | undefined
  | (object & { readonly then?: never })
