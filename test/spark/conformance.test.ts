/** Spark's own expectations, with the functions in TypeScript and the records, shuffles and states in Spark's executors. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkVector, expectVector } from '../support/run-vector.js'
import { vectors } from '../support/vectors.js'
import { batchesOf, executable } from './fixtures/vectors-job.js'
import { jobOnSpark, smallSpark } from './job-on-spark.js'
import { grounds, NEWEST, removeDirectories, sparkHome } from './spark-driver.js'

afterAll(removeDirectories)

type VectorsJob = typeof import('./fixtures/vectors-job.js')

describe.each(grounds)('Spark conformance on Spark %s, master %s', (version, master) => {
  let module: VectorsJob
  const failures: unknown[] = []
  beforeAll(async () => {
    const job = await jobOnSpark<VectorsJob>('vectors-job', { version, master, manual: true })
    module = job.module
    await job.ssc.start()
    const batches = Math.max(...executable.map(batchesOf))
    for (let batch = 1; batch <= batches && job.ssc.getState() === 'ACTIVE'; batch++) {
      job.clock.advance(1000)
      await job.ssc.batchesFinished()
    }
    await job.ssc.stop({ graceful: true })
    await job.ssc.awaitTermination().catch((error) => failures.push(error))
  }, 900_000)

  it('runs every batch', () => {
    expect(failures).toEqual([])
  })

  it.each(executable.map((vector) => [vector.id, vector] as const))('%s', (id, vector) => {
    const { batches, snapshots } = module.outputs.get(id)!
    const times = Array.from({ length: batchesOf(vector) }, (_, i) => (i + 1) * 1000)
    const valid = times.filter((time) => module.validAt.get(id)!(time))
    const found = valid.map((time) => batches.get(time) ?? null)
    expectVector(vector, { outputs: found, snapshots })
  })
})

/** Those that are to fail need a context of their own; with a budget all of them get one. */
const alone = vectors.filter(({ kind, throws }) => kind === 'dstream' && throws !== undefined)
const chosen = grounds.length > 1 ? vectors.filter(({ kind }) => kind === 'dstream') : alone.slice(0, 1)

describe('Spark conformance by runBatches, master local[2] of Spark', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    process.env.SPARK_HOME = await sparkHome(NEWEST)
  }, 600_000)

  it.each(chosen.map((vector) => [vector.id, vector] as const))('%s', (_, vector) =>
    checkVector(vector, 'local[2]', { 'millrace.engine': 'spark', ...smallSpark() }),
  )
})
