/** Random numbers that are the same in every process and every run: sampling must give the same records when it is repeated. */

/** Numbers from 0 up to, not including, 1. The same seed gives the same numbers; neighbouring seeds have nothing in common. */
export function randomFrom(seed: number, partition = 0): () => number {
  let state = mix((seed | 0) ^ Math.imul(partition + 1, 0x9e3779b1))
  return () => {
    state = (state + 0x6d2b79f5) | 0
    return (mix(state) >>> 0) / 0x1_0000_0000
  }
}

/** A seed nobody asked for. */
export function anySeed(): number {
  return Math.floor(Math.random() * 0x1_0000_0000)
}

/** How many times something of that mean number happens. */
export function poisson(mean: number, random: () => number): number {
  // The probability of none at all must not vanish in the arithmetic.
  if (mean > 100) return poisson(100, random) + poisson(mean - 100, random)
  const limit = Math.exp(-mean)
  let count = 0
  for (let product = random(); product > limit; product *= random()) count++
  return count
}

/** The items in random order; changes the array. */
export function shuffleInPlace<T>(items: T[], random: () => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const item = items[i]!
    items[i] = items[j]!
    items[j] = item
  }
  return items
}

/** Spreads every bit of a number over all 32: the last steps of MurmurHash3. */
export function mix(bits: number): number {
  let h = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
