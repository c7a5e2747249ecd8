/** Streaming contexts under a manual clock, and a way to let everything that is ready to run, run. */
import { type Receiver, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { Log } from '../../dist/log.js'

export interface TestContext {
  readonly ssc: StreamingContext
  readonly clock: ManualClock
  /** Log lines, instead of standard error. */
  readonly log: string[]
  /** Moves the clock by one batch interval and waits until the batches made are done. */
  nextBatch(): Promise<void>
}

/** A context of master `local` at time 0 with batches of a second, unless told otherwise. */
export function testContext(conf: Readonly<Record<string, unknown>> = {}, batchInterval = 1000): TestContext {
  const clock = new ManualClock(0)
  const log: string[] = []
  const ssc = new StreamingContext(
    { appName: 'test', batchInterval, conf },
    { clock, log: new Log('debug', {}, (line) => log.push(line)) },
  )
  return {
    ssc,
    clock,
    log,
    async nextBatch() {
      clock.advance(batchInterval)
      await settle()
      await ssc.batchesFinished()
    },
  }
}

/** Resolves after the event loop has turned a few times. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Collects the batches of a receiver's stream. */
export function collectBatches<T>(ssc: StreamingContext, receiver: Receiver<T>): T[][] {
  const batches: T[][] = []
  ssc.receiverStream(receiver).foreachRDD(async (rdd) => {
    batches.push(await rdd.collect())
  })
  return batches
}
