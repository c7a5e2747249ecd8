/** Every operation, and random pipelines of them, on Spark and on the embedded engine: the same records in the same places. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelled } from '../support/model.js'
import { type OperationsJob, type Outcome, operationsOutcome } from '../support/operations-outcome.js'
import { rddOperations } from '../support/rdd-operations.js'
import { streamOperations } from '../support/stream-operations.js'
import { multiset } from '../support/vectors.js'
import { jobOnSpark } from './job-on-spark.js'
import { grounds, removeDirectories, temporaryDirectory } from './spark-driver.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
/** Another one with a budget: the seed is in the name of a test that fails. */
const seed = budget > 1 ? Date.now() % 1_000_000 : 1
const count = Math.ceil(12 * budget)

/** What the job gives on that master. */
function outcome(version: string, master: string, conf: Record<string, unknown>): Promise<Outcome> {
  const open = () =>
    jobOnSpark<OperationsJob>('operations-job', {
      version,
      master,
      manual: true,
      conf: { 'spark.default.parallelism': 2, ...conf },
    })
  return operationsOutcome(open, { directory: temporaryDirectory(), seed, count })
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
