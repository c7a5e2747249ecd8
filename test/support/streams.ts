/** Contexts under a manual clock, and directories that go with the test. */
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DStream, type RDD, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { onTestFinished } from 'vitest'
import { describeGraph } from '../../dist/engine/graph-functions.js'
import { closureSource, describeTest } from '../../dist/testing/closure-graph.js'

export interface ManualContext {
  readonly ssc: StreamingContext
  readonly clock: ManualClock
  /** Runs so many batches, each to its end. */
  batches(count: number): Promise<void>
}

/** A context whose batches come when the test says so; stopped when the test ends. */
export function manualContext(batchMs = 1000, startMs = 0, conf: Record<string, unknown> = {}): ManualContext {
  return contextOf({ master: 'local', batchMs, startMs, conf }, {})
}

export interface ManualJobOptions {
  readonly master: string
  /** @default 1000 */
  readonly batchMs?: number
  /** @default 0 */
  readonly startMs?: number
  readonly conf?: Record<string, unknown>
}

export interface ManualJob<T> extends ManualContext {
  /** The batches of the stream that was described, as they come. */
  readonly outputs: T[][]
}

/** The same on any embedded master: threads call `build` too, so it may only describe, and what it captures is copied to them. */
export function manualJob<T>(options: ManualJobOptions, build: (ssc: StreamingContext) => DStream<T>): ManualJob<T> {
  const { master, batchMs = 1000, startMs = 0, conf = {} } = options
  const describe = (_: readonly DStream<unknown>[], ssc: StreamingContext): DStream<unknown> => build(ssc)
  const source = master === 'local' ? {} : { source: closureSource(describe, { batchMs, inputs: 0 }) }
  const context = contextOf({ master, batchMs, startMs, conf }, source)
  const outputs: T[][] = []
  describeGraph(() => {
    const output = async (rdd: RDD<unknown>): Promise<void> => void outputs.push((await rdd.collect()) as T[])
    describeTest(context.ssc, [], describe, output)
  })
  return { ...context, outputs }
}

function contextOf({ master, batchMs, startMs, conf }: Required<ManualJobOptions>, source: object): ManualContext {
  const clock = new ManualClock(startMs)
  const ssc = new StreamingContext({ appName: 'test', batchInterval: batchMs, master, conf }, { clock, ...source })
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
