/** Spark's own expectations, with the functions in TypeScript and the records, shuffles and states in Spark's executors. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { comparable, isSubsetWithLast, multiset } from '../support/vectors.js'
import { batchesOf, executable } from './fixtures/vectors-job.js'
import { type JobOnSpark, jobOnSpark } from './job-on-spark.js'
import { removeDirectories } from './spark-driver.js'

type VectorsJob = typeof import('./fixtures/vectors-job.js')

describe('Spark conformance on Spark, master local-cluster[2,1,1024]', () => {
  let job: JobOnSpark<VectorsJob>
  let failure: unknown = null
  beforeAll(async () => {
    job = await jobOnSpark<VectorsJob>('vectors-job', { master: 'local-cluster[2,1,1024]', manual: true })
    await job.ssc.start()
    const batches = Math.max(...executable.map(batchesOf))
    for (let batch = 1; batch <= batches && job.ssc.getState() === 'ACTIVE'; batch++) {
      job.clock.advance(1000)
      await job.ssc.batchesFinished()
    }
    await job.ssc.stop({ graceful: true })
    await job.ssc.awaitTermination().catch((error) => {
      failure = error
    })
  }, 900_000)
  afterAll(removeDirectories)

  it('runs every batch', () => {
    expect(failure).toBeNull()
  })

  it.each(executable.map((vector) => [vector.id, vector] as const))('%s', (id, vector) => {
    const { batches, snapshots } = job.module.outputs.get(id)!
    const times = Array.from({ length: batchesOf(vector) }, (_, i) => (i + 1) * 1000)
    const valid = times.filter((time) => job.module.validAt.get(id)!(time))
    const found = valid.map((time) => batches.get(time) ?? null)
    if (vector.compare === 'subsetWithLast') expect(isSubsetWithLast(found, vector.expected)).toBe(true)
    else {
      const seen = vector.compare === undefined ? found.slice(0, vector.expected.length) : found
      expect(comparable(seen, vector)).toEqual(comparable(vector.expected, vector))
    }
    if (vector.expectedSnapshots !== undefined)
      expect(snapshots.map(multiset)).toEqual(vector.expectedSnapshots.map(multiset))
    if (vector.expectedFinalSnapshot !== undefined)
      expect(multiset(snapshots.at(-1)!)).toEqual(multiset(vector.expectedFinalSnapshot))
    if (vector.expectedSnapshotSeen !== undefined)
      expect(snapshots.map(multiset)).toContainEqual(multiset(vector.expectedSnapshotSeen))
  })
})
