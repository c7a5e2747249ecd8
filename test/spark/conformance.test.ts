/** Spark's own expectations, with the functions in TypeScript and the records, shuffles and stages in Spark's executors. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { executable } from './fixtures/vectors-job.js'
import { type JobOnSpark, jobOnSpark } from './job-on-spark.js'
import { removeDirectories } from './spark-driver.js'

type VectorsJob = typeof import('./fixtures/vectors-job.js')

describe('Spark conformance on Spark, master local-cluster[2,1,1024]', () => {
  let job: JobOnSpark<VectorsJob>
  let failure: unknown = null
  beforeAll(async () => {
    job = await jobOnSpark<VectorsJob>('vectors-job', { master: 'local-cluster[2,1,1024]', manual: true })
    await job.ssc.start()
    for (let batch = 1; batch <= job.module.batches && job.ssc.getState() === 'ACTIVE'; batch++) {
      job.clock.advance(1000)
      await job.ssc.batchesFinished()
    }
    await job.ssc.stop({ graceful: true })
    await job.ssc.awaitTermination().catch((error) => {
      failure = error
    })
  }, 240_000)
  afterAll(removeDirectories)

  it('runs every batch', () => {
    expect(failure).toBeNull()
  })

  it.each(executable.map((vector) => [vector.id, vector] as const))('%s', (id, vector) => {
    const { outputs, validAt } = job.module
    const batches = vector.params.runBatches ?? vector.input.length
    const times = Array.from({ length: batches }, (_, i) => (i + 1) * 1000).filter((time) => validAt.get(id)!(time))
    const found = times.map((time) => outputs.get(id)!.get(time) ?? null)
    expect(comparable(found, vector.ordered)).toEqual(comparable(vector.expected, vector.ordered))
  })
})

/** Batches in the order Spark does not promise are compared as multisets. */
function comparable(batches: readonly (unknown[] | null)[], ordered: boolean): unknown {
  return ordered ? batches : batches.map((batch) => batch?.map((record) => JSON.stringify(record)).sort())
}
