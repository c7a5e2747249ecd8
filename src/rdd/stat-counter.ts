/** Count, mean, variance, minimum and maximum of numbers in one pass. */

/** Sums by Welford's method: adding and merging lose no precision to large means. */
export interface StatSums {
  count: number
  sum: number
  mean: number
  /** The sum of squared distances from the mean. */
  m2: number
  min: number
  max: number
}

export function emptySums(): StatSums {
  return { count: 0, sum: 0, mean: 0, m2: 0, min: Infinity, max: -Infinity }
}

export function addNumber(sums: StatSums, n: number): StatSums {
  sums.count++
  sums.sum += n
  const delta = n - sums.mean
  sums.mean += delta / sums.count
  sums.m2 += delta * (n - sums.mean)
  sums.min = Math.min(sums.min, n)
  sums.max = Math.max(sums.max, n)
  return sums
}

export function mergeSums(a: StatSums, b: StatSums): StatSums {
  if (a.count === 0) return b
  if (b.count === 0) return a
  const count = a.count + b.count
  const delta = b.mean - a.mean
  return {
    count,
    sum: a.sum + b.sum,
    mean: a.mean + (delta * b.count) / count,
    m2: a.m2 + b.m2 + (delta * delta * a.count * b.count) / count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  }
}

/** What `stats` gives. Spark's StatCounter. */
export class StatCounter {
  readonly count: number
  /** 0 when there are no numbers. */
  readonly sum: number
  /** NaN when there are no numbers. */
  readonly mean: number
  /** Infinity when there are no numbers. */
  readonly min: number
  /** -Infinity when there are no numbers. */
  readonly max: number
  readonly #m2: number

  constructor(sums: StatSums) {
    this.count = sums.count
    this.sum = sums.sum
    this.mean = sums.sum / sums.count
    this.min = sums.min
    this.max = sums.max
    this.#m2 = sums.m2
  }

  /** Of the whole population: divided by the count. NaN when there are no numbers. */
  get variance(): number {
    return this.count === 0 ? Number.NaN : this.#m2 / this.count
  }

  /** Of a sample: divided by the count less one. NaN for fewer than two numbers. */
  get sampleVariance(): number {
    return this.count <= 1 ? Number.NaN : this.#m2 / (this.count - 1)
  }

  get popVariance(): number {
    return this.variance
  }

  get stdev(): number {
    return Math.sqrt(this.variance)
  }

  get popStdev(): number {
    return this.stdev
  }

  get sampleStdev(): number {
    return Math.sqrt(this.sampleVariance)
  }

  toString(): string {
    return `(count: ${this.count}, mean: ${this.mean}, stdev: ${this.stdev}, max: ${this.max}, min: ${this.min})`
  }
}
