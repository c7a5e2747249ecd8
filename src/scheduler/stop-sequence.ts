/**
 * How a context stops.
 *
 *   graceful   the receivers stop, what they received becomes blocks, the blocks a last batch, every batch runs: one deadline
 *              for all of it, after which the stop goes on as if it were not graceful
 *   at once    batches that have not begun are dropped (with a checkpoint they run at the next start), the running one ends
 */
import type { ReceiverHost } from '../engine/engine.js'
import type { JobGenerator } from './job-generator.js'
import type { JobScheduler } from './job-scheduler.js'

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
    await receivers.stop(false)
    await generator.stop(false)
    await dropped
    return { timedOut: false }
  }
  let isLate = false
  const steps = async (): Promise<void> => {
    await receivers.stop(true)
    await generator.stop(!isLate)
    await scheduler.finished()
  }
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'late')
  })
  const running = steps()
  try {
    if ((await Promise.race([running, deadline])) !== 'late') return { timedOut: false }
  } finally {
    clearTimeout(timer)
  }
  isLate = true
  // The batch that runs is not torn apart; what has not begun does not begin.
  await scheduler.stop()
  await running
  return { timedOut: true }
}
