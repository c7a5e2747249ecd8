/** For tests of jobs: runs a graph over given input batches under a manual clock, with no waiting and no network. */
/// <reference types="node" preserve="true" />
import type { DStream } from './dstream/dstream.js'
import { describeGraph } from './engine/graph-functions.js'
import type { Item } from './rdd/pair.js'
import type { RDD } from './rdd/rdd.js'
import { StreamingContext } from './streaming-context.js'
import { type BuildTest, closureSource, describeTest } from './testing/closure-graph.js'
import { type Duration, ManualClock, type Time, toMilliseconds } from './time.js'

export { EmbeddedBroker, type EmbeddedBrokerOptions } from './mqtt/embedded-broker.js'
export { ManualClock }

/** The records of one batch, or null for no RDD at this time. */
export type InputBatch<T = unknown> = readonly T[] | null

export interface RunBatchesOptions<I extends readonly unknown[], O> {
  /** One array of batches per input stream. After its end a stream has empty batches. */
  readonly inputs: readonly [...{ readonly [S in keyof I]: readonly InputBatch<I[S]>[] }]
  /** Describes the graph over the input streams and returns the stream whose batches are wanted. */
  readonly build: (streams: { readonly [S in keyof I]: DStream<I[S]> }, ssc: StreamingContext) => DStream<O>
  /** How many batches to run. @default the length of the longest input */
  readonly batches?: number
  /** @default 1000 ms */
  readonly batchInterval?: Duration
  /** Partitions of each input batch; slice i of a batch takes records from `i * length / partitions` on. @default 2 */
  readonly partitions?: number
  /** @default 'local' */
  readonly master?: string
  readonly conf?: Readonly<Record<string, unknown>>
}

/**
 * Runs `build` over the input batches; batch i has the time `(i + 1) * batchInterval`. Resolves to one entry for every time
 * the output stream produces at (its slide): the records, or null where it gave no RDD. Rejects with the error of the first
 * batch that fails.
 *
 * ```ts
 * import { runBatches } from 'millrace/testing'
 * const counts = await runBatches({
 *   inputs: [[['a', 'b'], ['a']]],
 *   build: ([words]) => words.map((word) => [word, 1]).reduceByKey((x, y) => x + y),
 * }) // [[['a', 1], ['b', 1]], [['a', 1]]]
 * ```
 */
export async function runBatches<I extends readonly Item[], O>(
  options: RunBatchesOptions<I, O>,
): Promise<(O[] | null)[]> {
  const batchMs = toMilliseconds(options.batchInterval ?? 1000)
  const inputs = options.inputs as readonly (readonly InputBatch[])[]
  const batches = options.batches ?? Math.max(0, ...inputs.map((input) => input.length))
  const clock = new ManualClock(0)
  const master = options.master ?? 'local'
  const build = options.build as BuildTest
  const source = master === 'local' ? {} : { source: closureSource(build, { batchMs, inputs: inputs.length }) }
  const ssc = new StreamingContext(
    { appName: 'runBatches', batchInterval: batchMs, master, conf: options.conf ?? {} },
    // A test means the same whatever the machine's settings are.
    { clock, ambient: [], ...source },
  )
  const outputs = new Map<Time, O[]>()
  let output: DStream<unknown> | null = null
  describeGraph(() => {
    const next = inputs.map((input) => batchesOf(ssc, input, options.partitions ?? 2))
    output = describeTest(ssc, next, build, async (rdd, time) => {
      outputs.set(time, (await rdd.collect()) as O[])
    })
  })
  const { node } = output as unknown as DStream<unknown>
  await ssc.start()
  for (let batch = 1; batch <= batches && ssc.getState() === 'ACTIVE'; batch++) {
    clock.advance(batchMs)
    await ssc.batchesFinished()
  }
  await ssc.stop({ graceful: true })
  await ssc.awaitTermination()
  const times = Array.from({ length: batches }, (_, i) => (i + 1) * batchMs)
  return times.filter((time) => node.isValid(time)).map((time) => outputs.get(time) ?? null)
}

/** The RDD of an input for each batch time. */
function batchesOf(
  ssc: StreamingContext,
  input: readonly InputBatch[],
  partitions: number,
): (time: Time) => RDD<unknown> | null {
  return (time) => {
    const batch = input[time / ssc.batchInterval - 1]
    if (batch === null) return null
    return ssc.sparkContext.parallelize((batch ?? []) as readonly Item[], partitions)
  }
}
