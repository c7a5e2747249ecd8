/** Runs the job of every operation, on whatever engine it was opened for, and gathers what each operation gave. */
import { fileURLToPath } from 'node:url'
import type { StreamingContext } from 'millrace'
import type { ManualClock } from 'millrace/testing'
import { numberBatches } from './stream-operations.js'

export type OperationsJob = typeof import('../spark/fixtures/operations-job.js')

export interface OpenJob {
  /** The module as the driver loaded it. */
  readonly module: OperationsJob
  readonly ssc: StreamingContext
  readonly clock: ManualClock
}

export interface Outcome extends Pick<OperationsJob, 'results' | 'batches' | 'processes' | 'random'> {
  /** What the operations did that end a stream. */
  readonly outputs: ReadonlyMap<string, unknown>
}

export interface OutcomeOptions {
  /** An empty one, for what the operations write. */
  readonly directory: string
  readonly seed: number
  /** Random pipelines. */
  readonly count: number
}

/** Runs the job that `open` describes to its end. */
export async function operationsOutcome(
  open: () => Promise<OpenJob>,
  { directory, seed, count }: OutcomeOptions,
): Promise<Outcome> {
  Object.assign(process.env, {
    OPERATIONS_DIRECTORY: directory,
    OPERATIONS_DATA: fileURLToPath(new URL('data', import.meta.url)),
    OPERATIONS_SEED: String(seed),
    OPERATIONS_RANDOM: String(count),
  })
  const { module, ssc, clock } = await open()
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
  // The module is one for all runs.
  for (const kept of [results, batches, processes]) kept.clear()
  return found
}
