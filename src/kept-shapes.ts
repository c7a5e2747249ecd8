/**
 * Shapes that outlive their objects. V8 forgets the shape of objects when none of them is left, and with it all code compiled
 * for that shape: a stream whose tasks come every second would have its loops compiled again after every collection.
 */

const kept: object[] = []

/** Keeps one object, for good, of each shape that short-lived objects on a hot path have: same class, same kinds of values. */
export function keepShapes(...examples: readonly object[]): void {
  kept.push(...examples)
}
