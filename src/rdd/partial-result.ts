/** What approximate actions give: estimates with bounds, from the partitions that were done in time. */
import type { StatSums } from './stat-counter.js'
import { StatCounter } from './stat-counter.js'

/** An estimate: with probability `confidence` the true value lies from `low` to `high`. Spark's BoundedDouble. */
export interface BoundedNumber {
  readonly mean: number
  readonly confidence: number
  readonly low: number
  readonly high: number
}

/** A result that was there in time, or an estimate of it, with the exact one to follow. Spark's PartialResult. */
export interface PartialResult<R> {
  /** What was known when the time was up. */
  readonly initialValue: R
  /** True if all partitions were done by then: `initialValue` is the exact result. */
  readonly isInitialValueFinal: boolean
  /** The exact result, once all partitions are done; rejects with the error of a task that failed since. */
  getFinalValue(): Promise<R>
}

/** The value itself, known for sure. */
export function exactly(value: number): BoundedNumber {
  return { mean: value, confidence: 1, low: value, high: value }
}

/**
 * A count of which a `share` of the partitions has seen `seen`. The rest is taken to be negative binomial, as Spark takes it,
 * and that to be normal, which Spark does for large counts only.
 */
export function estimatedCount(seen: number, share: number, confidence: number): BoundedNumber {
  if (share === 1) return exactly(seen)
  if (share === 0 || seen === 0) return { mean: 0, confidence: 0, low: 0, high: Infinity }
  const rest = (seen * (1 - share)) / share
  const spread = normalQuantile((1 + confidence) / 2) * Math.sqrt(rest / share)
  return {
    mean: seen + rest,
    confidence,
    low: seen + Math.max(0, Math.floor(rest - spread)),
    high: seen + Math.ceil(rest + spread),
  }
}

/** A mean of which a `share` of the partitions has seen `sums`. */
export function estimatedMean(sums: StatSums, share: number, confidence: number): BoundedNumber {
  const seen = new StatCounter(sums)
  if (share === 1) return exactly(seen.mean)
  if (seen.count === 0) return { mean: 0, confidence: 0, low: -Infinity, high: Infinity }
  if (seen.count === 1) return { mean: seen.mean, confidence, low: -Infinity, high: Infinity }
  const spread = quantile((1 + confidence) / 2, seen.count - 1) * Math.sqrt(seen.sampleVariance / seen.count)
  return { mean: seen.mean, confidence, low: seen.mean - spread, high: seen.mean + spread }
}

/** A sum of which a `share` of the partitions has seen `sums`: what is missing is a count times a mean, both estimated. */
export function estimatedSum(sums: StatSums, share: number, confidence: number): BoundedNumber {
  const { count, sum, mean, sampleVariance } = new StatCounter(sums)
  if (share === 1) return exactly(sum)
  if (count === 0) return { mean: 0, confidence: 0, low: -Infinity, high: Infinity }
  const missing = (count * (1 - share)) / share
  const rest = mean * missing
  if (count === 1) return { mean: sum + rest, confidence, low: -Infinity, high: Infinity }
  const meanVariance = sampleVariance / count
  const countVariance = missing / share
  const variance = mean ** 2 * countVariance + missing ** 2 * meanVariance + meanVariance * countVariance
  const spread = quantile((1 + confidence) / 2, count - 1) * Math.sqrt(variance)
  return { mean: sum + rest, confidence, low: sum + rest - spread, high: sum + rest + spread }
}

/** Of Student's distribution for few numbers, of the normal one for more than a hundred. */
function quantile(probability: number, degrees: number): number {
  return degrees >= 100 ? normalQuantile(probability) : studentQuantile(probability, degrees)
}

/** The number that a standard normal variable is below with that probability. Acklam's rational approximation, exact to nine digits. */
export function normalQuantile(probability: number): number {
  if (probability <= 0) return -Infinity
  if (probability >= 1) return Infinity
  if (probability > 0.5) return -normalQuantile(1 - probability)
  if (probability < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(probability))
    return polynomial(tailNumerator, q) / polynomial(tailDenominator, q)
  }
  const q = probability - 0.5
  const r = q * q
  return (polynomial(centreNumerator, r) * q) / polynomial(centreDenominator, r)
}

const tailNumerator = [
  -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
]
const tailDenominator = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1]
const centreNumerator = [
  -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2, -3.066479806614716e1,
  2.506628277459239,
]
const centreDenominator = [
  -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1, 1,
]

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0)
}

/** As `normalQuantile`, of Student's distribution: exact for one and two degrees of freedom, else by the expansion around the normal one. */
export function studentQuantile(probability: number, degrees: number): number {
  if (degrees === 1) return Math.tan(Math.PI * (probability - 0.5))
  if (degrees === 2) return (2 * probability - 1) / Math.sqrt(2 * probability * (1 - probability))
  const z = normalQuantile(probability)
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92_160,
  ]
  return terms.reduce((sum, term, i) => sum + term / degrees ** (i + 1), z)
}
