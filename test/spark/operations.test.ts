/** Every operation, and random pipelines of them, on Spark and on the embedded engine: the same records in the same places. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelled } from '../support/model.js'
import { rddOperations } from '../support/rdd-operations.js'
import { numberBatches, streamOperations } from '../support/stream-operations.js'
import { multiset } from '../support/vectors.js'
import { jobOnSpark } from './job-on-spark.js'
import { grounds, removeDirectories, temporaryDirectory } from './spark-driver.js'

type OperationsJob = typeof import('./fixtures/operations-job.js')

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
/** Another one with a budget: the seed is in the name of a test that fails. */
const seed = budget > 1 ? Date.now() % 1_000_000 : 1
const count = Math.ceil(12 * budget)
const data = fileURLToPath(new URL('../support/data', import.meta.url))

interface Outcome extends Pick<OperationsJob, 'results' | 'batches' | 'processes' | 'random'> {
  /** What the operations did that end a stream. */
  readonly outputs: ReadonlyMap<string, unknown>
}

/** What the job gives on that master. */
async function outcome(version: string, master: string, conf: Record<string, unknown>): Promise<Outcome> {
  Object.assign(process.env, {
    OPERATIONS_DIRECTORY: temporaryDirectory(),
    OPERATIONS_DATA: data,
    OPERATIONS_SEED: String(seed),
    OPERATIONS_RANDOM: String(count),
  })
  const { module, ssc, clock } = await jobOnSpark<OperationsJob>('operations-job', {
    version,
    master,
    manual: true,
    conf: { 'spark.default.parallelism': 2, ...conf },
  })
  let printed = ''
  ssc.graph.print = (text) => {
    printed += text
  }
  await ssc.start()
  const last = Math.max(numberBatches.length, ...module.random.map(({ input }) => input.length))
  for (let batch = 1; batch <= last && ssc.getState() === 'ACTIVE'; batch++) {
    clock.advance(1000)
    await ssc.batchesFinished()
  }
  const outputs = new Map<string, unknown>([['print', printed]])
  for (const [name, output] of Object.entries(module.outputs)) outputs.set(name, await output())
  await ssc.stop({ graceful: true })
  await ssc.awaitTermination()
  const { results, batches, processes, random } = module
  const found = { results: new Map(results), batches: new Map(batches), processes: new Set(processes), random, outputs }
  // The module is one for both runs.
  for (const kept of [results, batches, processes]) kept.clear()
  return found
}

describe.each(grounds)('On Spark %s, master %s, and on the embedded engine', (version, master) => {
  let spark: Outcome
  let embedded: Outcome
  beforeAll(async () => {
    embedded = await outcome(version, 'local', { 'millrace.engine': 'embedded' })
    spark = await outcome(version, master, {})
  }, 900_000)
  afterAll(removeDirectories)

  it('functions run beside the executors, and in this process', () => {
    expect(embedded.processes).toEqual(new Set([process.pid]))
    expect(spark.processes.size).toBeGreaterThanOrEqual(1)
    expect(spark.processes).not.toContain(process.pid)
  })

  it.each(Object.keys(rddOperations))('an RDD: %s', (name) => {
    expect(embedded.results.get(name), String(embedded.results.get(name))).not.toBeInstanceOf(Error)
    expect(spark.results.get(name)).toEqual(embedded.results.get(name))
  })

  it.each(Object.keys(streamOperations))('a stream: %s', (name) => {
    expect(spark.batches.get(name)).toEqual(embedded.batches.get(name))
    expect(embedded.batches.get(name)!.size).toBeGreaterThan(0)
  })

  it('what ends a stream', () => {
    expect([...embedded.outputs.keys()].length).toBeGreaterThan(0)
    expect(spark.outputs).toEqual(embedded.outputs)
  })

  it.each(Array.from({ length: count }, (_, i) => i))(`random pipeline %i of seed ${seed}`, (i) => {
    const { input, operations } = embedded.random[i]!
    const pipeline = operations.map(({ name }) => name).join(' | ')
    expect(spark.batches.get(`random ${i}`), pipeline).toEqual(embedded.batches.get(`random ${i}`))
    const batches = input.map((_, batch) => spark.batches.get(`random ${i}`)!.get((batch + 1) * 1000) ?? [])
    expect(batches.map(multiset), pipeline).toEqual(modelled(input, operations).map(multiset))
  })
})
