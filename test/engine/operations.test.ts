/** Every operation there is, and random pipelines of them, in threads and in this thread: the same records in the same places. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ManualClock } from 'millrace/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import { bundleJob } from '../../dist/engine/job-bundle.js'
import { importBundle } from '../../dist/engine/job-module.js'
import { describe as describeJob } from '../../dist/run.js'
import { masters } from '../support/masters.js'
import { modelled } from '../support/model.js'
import { type OperationsJob, type Outcome, operationsOutcome } from '../support/operations-outcome.js'
import { rddOperations } from '../support/rdd-operations.js'
import { streamOperations } from '../support/stream-operations.js'
import { multiset } from '../support/vectors.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
/** Another one with a budget: the seed is in the name of a test that fails. */
const seed = budget > 1 ? Date.now() % 1_000_000 : 2
const count = Math.ceil(6 * budget)

// Node maps stacks to the user's lines, as it does where a job runs, only if nobody else wants to write them.
Error.prepareStackTrace = undefined as never

/** What the job gives on that master. */
async function outcome(master: string): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-operations-'))
  try {
    const bundle = await bundleJob(fileURLToPath(new URL('../spark/fixtures/operations-job.ts', import.meta.url)))
    const open = async () => {
      const module = (await importBundle(bundle)) as unknown as OperationsJob
      const clock = new ManualClock(0)
      const { ssc, built } = describeJob(
        module.default,
        { master, module: pathToFileURL(bundle.file), conf: [{ 'spark.default.parallelism': 2 }] },
        { ambient: [], clock },
      )
      await built
      return { module, ssc, clock }
    }
    return await operationsOutcome(open, { directory, seed, count })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

let local: Outcome
beforeAll(async () => {
  local = await outcome('local')
})

test('every operation gives something on local', () => {
  for (const name of Object.keys(rddOperations)) {
    expect(local.results.has(name), name).toBe(true)
    expect(local.results.get(name), String(local.results.get(name))).not.toBeInstanceOf(Error)
  }
  for (const name of Object.keys(streamOperations)) expect(local.batches.get(name)!.size, name).toBeGreaterThan(0)
  expect(local.outputs.size).toBeGreaterThan(1)
})

describe.each(masters.filter((master) => master !== 'local'))('On %s as on local', (master) => {
  let threads: Outcome
  beforeAll(async () => {
    threads = await outcome(master)
  })

  test.each(Object.keys(rddOperations))('an RDD: %s', (name) => {
    expect(threads.results.get(name)).toEqual(local.results.get(name))
  })

  test.each(Object.keys(streamOperations))('a stream: %s', (name) => {
    expect(threads.batches.get(name)).toEqual(local.batches.get(name))
  })

  test('what ends a stream', () => {
    expect(threads.outputs).toEqual(local.outputs)
  })

  test.each(Array.from({ length: count }, (_, i) => i))(`random pipeline %i of seed ${seed}`, (i) => {
    const { input, operations } = local.random[i]!
    const pipeline = operations.map(({ name }) => name).join(' | ')
    expect(threads.batches.get(`random ${i}`), pipeline).toEqual(local.batches.get(`random ${i}`))
    const batches = input.map((_, batch) => threads.batches.get(`random ${i}`)!.get((batch + 1) * 1000) ?? [])
    expect(batches.map(multiset), pipeline).toEqual(modelled(input, operations).map(multiset))
  })
})
