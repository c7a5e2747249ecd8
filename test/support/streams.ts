/** Contexts under a manual clock, and directories that go with the test. */
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DStream, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { onTestFinished } from 'vitest'

export interface ManualContext {
  readonly ssc: StreamingContext
  readonly clock: ManualClock
  /** Runs so many batches, each to its end. */
  batches(count: number): Promise<void>
}

/** A context whose batches come when the test says so; stopped when the test ends. */
export function manualContext(batchMs = 1000, startMs = 0, conf: Record<string, unknown> = {}): ManualContext {
  const clock = new ManualClock(startMs)
  const ssc = new StreamingContext({ appName: 'test', batchInterval: batchMs, conf }, { clock })
  onTestFinished(async () => {
    await ssc.stop()
  })
  return {
    ssc,
    clock,
    async batches(count) {
      if (ssc.getState() === 'INITIALIZED') await ssc.start()
      for (let i = 0; i < count; i++) {
        clock.advance(batchMs)
        await ssc.batchesFinished()
      }
    },
  }
}

/** The batches of `stream` as they come. */
export function outputOf<T>(stream: DStream<T>): T[][] {
  const batches: T[][] = []
  stream.foreachRDD(async (rdd) => {
    batches.push(await rdd.collect())
  })
  return batches
}

/** An empty directory, removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
