/**
 * How a context stops.
 *
 *   graceful   the receivers stop, what they received becomes blocks, the blocks a last batch, every batch runs: one deadline
 *              for all of it, after which the stop goes on as if it were not graceful
 *   at once    batches that have not begun are dropped (with a checkpoint they run at the next start), the running one ends
 *
 * The batch that runs is not torn apart; but one that has not ended after a while, since an output waits for what never comes, is given up.
 */
import type { ReceiverHost } from '../engine/engine.js'
import { waitAtMost } from '../time.js'
import type { JobGenerator } from './job-generator.js'
import type { JobScheduler } from './job-scheduler.js'

/** How long the batch that runs is waited for when nothing else is. */
const LAST_BATCH_MS = 10_000

export interface StopOptions {
  readonly graceful: boolean
  /** How long a graceful stop may take. */
  readonly timeoutMs: number
  readonly receivers: ReceiverHost
  readonly generator: JobGenerator
  readonly scheduler: JobScheduler
}

/** Stops in order; resolves to whether the deadline passed first. */
export async function stopInOrder({
  graceful,
  timeoutMs,
  receivers,
  generator,
  scheduler,
}: StopOptions): Promise<{ timedOut: boolean }> {
  if (!graceful) {
    // At once, or batches that wait would start while the receivers stop.
    const dropped = scheduler.stop()
    const steps = async (): Promise<void> => {
      await receivers.stop(false)
      await generator.stop(false)
      await dropped
    }
    await ended(steps(), scheduler)
    return { timedOut: false }
  }
  let isLate = false
  const steps = async (): Promise<void> => {
    await receivers.stop(true)
    await generator.stop(!isLate)
    await scheduler.finished()
  }
  const running = steps()
  if (await waitAtMost(timeoutMs, running)) return { timedOut: false }
  isLate = true
  // What has not begun does not begin.
  await ended(Promise.all([scheduler.stop(), running]), scheduler)
  return { timedOut: true }
}

/** Resolves when `steps` have, which wait for the batch that runs, but not for longer than that may take. */
async function ended(steps: Promise<unknown>, scheduler: JobScheduler): Promise<void> {
  if (!(await waitAtMost(LAST_BATCH_MS, steps))) scheduler.giveUp()
  await steps
}
