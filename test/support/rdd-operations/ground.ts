/** What programs over RDDs begin with: records to work on, and ways to look at what came of them. */
import type { Item, MillraceError, RDD, SparkContext } from 'millrace'

/** What a program may use. */
export interface Ground {
  readonly sc: SparkContext
  /** A directory that this program alone writes to. */
  readonly directory: string
  /** A directory of files to read. */
  readonly data: string
}

/** Small programs by their names. What each gives must be the same wherever it runs. */
export type Programs = Readonly<Record<string, (ground: Ground) => unknown>>

export const plus = (a: number, b: number): number => a + b
export const numbers = (sc: SparkContext, count = 12, partitions = 3): RDD<number> =>
  sc.parallelize(
    Array.from({ length: count }, (_, i) => (i * 7) % count),
    partitions,
  )
export const pairs = (sc: SparkContext): RDD<readonly [string, number]> =>
  sc.parallelize(
    Array.from({ length: 12 }, (_, i): [string, number] => ['abcd'[(i * 5) % 4]!, i]),
    3,
  )
export const others = (sc: SparkContext): RDD<readonly [string, string]> =>
  sc.parallelize(
    ['a', 'c', 'c', 'e'].map((key, i): [string, string] => [key, `other ${i}`]),
    2,
  )
export const glommed = <T>(rdd: RDD<T>): Promise<T[][]> => rdd.glom().collect()
/** Places keys by their first letter. */
export const byLetter = { numPartitions: 3, getPartition: (key: unknown) => String(key).charCodeAt(0) % 3 }

/** Records that are easily changed on their way. */
export const everyKind: readonly Item[] = [
  ...[
    undefined,
    null,
    true,
    Number.NaN,
    -0,
    0,
    Number.POSITIVE_INFINITY,
    1e300,
    2 ** 40,
    -(2n ** 70n),
    '',
    'ü 💡',
    'long '.repeat(500),
  ],
  ...[new Date(1e12), new Map([[{ a: 1 }, [1n]]]), new Set(['x', 2]), new Uint8Array([1, 2]), new Float64Array([0.5])],
  ...[[], {}, [[]], { deep: [{ er: undefined }], b: null }, ['k', { v: 1 }]],
]

export function fails(n: number): number {
  if (n === 5) throw new RangeError('no fives')
  return n
}

/** What a user sees of the error a promise rejects with. */
export async function thrown(promise: Promise<unknown>): Promise<unknown> {
  try {
    return ['no error', await promise]
  } catch (error) {
    const { code, message, details, cause } = error as MillraceError
    // Which of a job's partitions fails first is not said.
    const text = message.replace(/partition \d+/, 'partition N')
    const { partition: _, ...rest } = details
    return { code, text, details: rest, cause: cause instanceof Error ? [cause.name, cause.message] : cause }
  }
}

/** The code of the error a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    return ['no failure', await promise]
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}
