/** A keyed record, and the type that lets TypeScript read `[key, value]` as one. */

/** A key and its value. */
export type Pair<K, V> = readonly [key: K, value: V]

/** Any value; the empty tuple in the union makes TypeScript read `[w, 1]` as a pair, not as an array. */
// biome-ignore lint/complexity/noBannedTypes: {} is exactly "anything but null and undefined", which is meant here
export type Item = {} | null | undefined | []
