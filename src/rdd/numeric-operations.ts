/** Statistics of RDDs of numbers, as methods with a `this: RDD<number>` type. */
import { MillraceError } from '../errors.js'
import { OrderedOperations } from './ordered-operations.js'
import type { RDD } from './rdd.js'
import { addNumber, emptySums, mergeSums, StatCounter, type StatSums } from './stat-counter.js'
import { libraryFunction } from './task-function.js'

/** What `histogram` gives: bucket i reaches from `edges[i]` up to, not including, `edges[i + 1]`; the last one includes its end. */
export interface Histogram {
  readonly edges: readonly number[]
  readonly counts: readonly number[]
}

export abstract class NumericOperations extends OrderedOperations {
  /** The sum; 0 for none. */
  async sum(this: RDD<number>): Promise<number> {
    const sums = await this.mapped<number>({ type: 'fold', zero: zero(), add: addTo(), finish: null }).run('sum')
    return sums.flat().reduce((a, b) => a + b, 0)
  }

  /** Count, mean, variance, least and greatest, in one pass. */
  async stats(this: RDD<number>): Promise<StatCounter> {
    return new StatCounter((await this.partitionSums().run('stats')).flat().reduce(mergeSums, emptySums()))
  }

  /** One record a partition: the sums that statistics are made of. @internal */
  partitionSums(this: RDD<number>): RDD<StatSums> {
    return this.mapped({ type: 'fold', zero: noSums(), add: addSums(), finish: null })
  }

  /** The mean; NaN for none. */
  async mean(this: RDD<number>): Promise<number> {
    return (await this.stats()).mean
  }

  /** The variance of the population, divided by the count. */
  async variance(this: RDD<number>): Promise<number> {
    return (await this.stats()).variance
  }

  /** The standard deviation of the population. */
  async stdev(this: RDD<number>): Promise<number> {
    return (await this.stats()).stdev
  }

  /** `variance`, under the name that says which. */
  popVariance(this: RDD<number>): Promise<number> {
    return this.variance()
  }

  /** `stdev`, under the name that says which. */
  popStdev(this: RDD<number>): Promise<number> {
    return this.stdev()
  }

  /** The variance estimated from a sample, divided by the count less one. */
  async sampleVariance(this: RDD<number>): Promise<number> {
    return (await this.stats()).sampleVariance
  }

  /** The standard deviation estimated from a sample. */
  async sampleStdev(this: RDD<number>): Promise<number> {
    return (await this.stats()).sampleStdev
  }

  /**
   * How many numbers fall into each bucket: so many buckets of equal width from the least to the greatest number, or buckets
   * between given edges, where numbers outside are left out. Throws `ILLEGAL_ARGUMENT` for fewer than one bucket or two
   * edges, and for edges that do not rise; rejects with `UNSUPPORTED` when buckets are to be made over no numbers, NaN or infinite ones.
   */
  async histogram(this: RDD<number>, buckets: number | readonly number[]): Promise<Histogram> {
    const edges = typeof buckets === 'number' ? await evenEdges(this, buckets) : checkedEdges(buckets)
    const counted = await this.mapped<number[]>({ type: 'iterate', f: countBuckets(edges) }).run('histogram')
    const counts = new Array<number>(edges.length - 1).fill(0)
    for (const partial of counted.flat()) for (const [i, count] of partial.entries()) counts[i]! += count
    return { edges, counts }
  }
}

async function evenEdges(rdd: RDD<number>, buckets: number): Promise<number[]> {
  if (!Number.isInteger(buckets) || buckets < 1)
    throw new MillraceError(
      'ILLEGAL_ARGUMENT',
      `The number of buckets must be a whole number from 1 up, not ${buckets}.`,
    )
  const { count, min, max, mean } = await rdd.stats()
  if (count === 0 || !Number.isFinite(min) || !Number.isFinite(max) || Number.isNaN(mean)) {
    throw new MillraceError(
      'UNSUPPORTED',
      `A histogram needs numbers, neither NaN nor infinite; the least is ${min}, the greatest ${max}. Give the edges instead.`,
    )
  }
  if (min === max) return [min, min]
  const edges = Array.from({ length: buckets }, (_, i) => min + (i * (max - min)) / buckets)
  return [...edges, max]
}

function checkedEdges(edges: readonly number[]): readonly number[] {
  const rises = edges.every((edge, i) => i === 0 || edges[i - 1]! < edge)
  if (edges.length >= 2 && rises) return edges
  throw new MillraceError(
    'ILLEGAL_ARGUMENT',
    `A histogram needs at least two edges, each greater than the one before: ${edges}.`,
  )
}

const zero = libraryFunction('zero', () => () => 0)
const addTo = libraryFunction(
  'addTo',
  () => (a: number, b: number) => a + b,
  () => (a, b) => `${a} + ${b}`,
)
const noSums = libraryFunction('noSums', () => emptySums)
const addSums = libraryFunction('addSums', () => addNumber)
const countBuckets = libraryFunction('countBuckets', (edges: readonly number[]) => (numbers: Iterable<number>) => {
  const counts = new Array<number>(edges.length - 1).fill(0)
  const last = counts.length - 1
  for (const n of numbers) {
    if (!(n >= edges[0]!) || n > edges[last + 1]!) continue
    let low = 0
    let high = last
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (n >= edges[middle]!) low = middle
      else high = middle - 1
    }
    counts[low]!++
  }
  return [counts]
})
