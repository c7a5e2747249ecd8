/** Random parts of an RDD. The same seed gives the same records, however often they are computed. */
import { MillraceError } from '../errors.js'
import { AggregateOperations } from './aggregate-operations.js'
import { anySeed, poisson, randomFrom, shuffleInPlace } from './random.js'
import type { RDD } from './rdd.js'
import { libraryFunction } from './task-function.js'

export abstract class SamplingOperations extends AggregateOperations {
  /**
   * A random part of about `fraction` of the records; with replacement each record is taken `fraction` times on average. Throws
   * `ILLEGAL_ARGUMENT` for a negative fraction, and for more than 1 without replacement.
   */
  sample<T>(this: RDD<T>, withReplacement: boolean, fraction: number, seed: number = anySeed()): RDD<T> {
    if (!(fraction >= 0) || (!withReplacement && fraction > 1)) {
      const expected = withReplacement ? 'at least 0' : 'from 0 to 1'
      throw new MillraceError('ILLEGAL_ARGUMENT', `The fraction must be ${expected}, not ${fraction}.`)
    }
    const f = withReplacement ? drawOften(fraction, seed) : drawBetween(0, fraction, seed)
    return this.mapped({ type: 'iterate', f }, true)
  }

  /**
   * Parts that together are the whole, a record in each with a probability as its weight. Throws `ILLEGAL_ARGUMENT` for a
   * negative weight, or when all are 0.
   */
  randomSplit<T>(this: RDD<T>, weights: readonly number[], seed: number = anySeed()): RDD<T>[] {
    const sum = weights.reduce((a, b) => a + b, 0)
    if (!(sum > 0) || weights.some((weight) => !(weight >= 0)))
      throw new MillraceError('ILLEGAL_ARGUMENT', `The weights must not be negative, and not all 0: ${weights}.`)
    let from = 0
    return weights.map((weight, i) => {
      // The last part ends at 1 whatever the additions have lost on the way.
      const to = i === weights.length - 1 ? 1 : from + weight / sum
      const part = this.mapped<T>({ type: 'iterate', f: drawBetween(from, to, seed) }, true)
      from = to
      return part
    })
  }

  /** Exactly `n` random records, fewer when there are no more. Throws `ILLEGAL_ARGUMENT` for a negative `n`. */
  async takeSample<T>(this: RDD<T>, withReplacement: boolean, n: number, seed: number = anySeed()): Promise<T[]> {
    if (!Number.isInteger(n) || n < 0)
      throw new MillraceError('ILLEGAL_ARGUMENT', `The size of a sample must be a whole number from 0 up, not ${n}.`)
    const total = n === 0 ? 0 : await this.count()
    if (total === 0) return []
    const random = randomFrom(seed)
    if (!withReplacement && n >= total) return shuffleInPlace(await this.collect(), random)
    // More than needed, so that one pass is nearly always enough.
    const share = n / total
    const fraction = withReplacement
      ? share * 1.5 + 10 / total
      : Math.min(1, share + 5 * Math.sqrt(share / total) + 10 / total)
    for (let pass = 0; ; pass++) {
      const drawn = await this.sample(withReplacement, fraction, (seed + pass) | 0).collect()
      if (drawn.length >= n) return shuffleInPlace(drawn, random).slice(0, n)
    }
  }
}

const drawBetween = libraryFunction('drawBetween', (from: number, to: number, seed: number) => {
  return function* (records: Iterable<unknown>, partition: number) {
    const random = randomFrom(seed, partition)
    for (const record of records) {
      const drawn = random()
      if (drawn >= from && drawn < to) yield record
    }
  }
})
const drawOften = libraryFunction('drawOften', (mean: number, seed: number) => {
  return function* (records: Iterable<unknown>, partition: number) {
    const random = randomFrom(seed, partition)
    for (const record of records) for (let n = poisson(mean, random); n > 0; n--) yield record
  }
})
