/** A job with a checkpoint directory under a manual clock, fed by hand. */
import { Receiver, StorageLevel, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { Log } from '../../dist/log.js'
import { settle } from './contexts.js'

export class Hand extends Receiver<string> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {}
  onStop(): void {}
  /** Stores the records as one block. */
  give(...records: string[]): Promise<void> {
    return this.storeBlock(records)
  }
}

export interface Run {
  readonly ssc: StreamingContext
  readonly hand: Hand
  readonly clock: ManualClock
  /** What each batch brought, in the order the batches ran. */
  readonly batches: [number, string[]][]
  nextBatch(): Promise<void>
}

export type Describe = (run: Omit<Run, 'nextBatch'>) => void

export interface StartOptions {
  readonly conf?: Record<string, unknown>
  /** The graph; when not given, the batches of one receiver are collected. */
  readonly describe?: Describe
  readonly batchInterval?: number
  readonly name?: string
}

/** A run of one job on the directory; `describe` adds to its graph. */
export async function startOn(directory: string, now: number, options: StartOptions = {}): Promise<Run> {
  const clock = new ManualClock(now)
  const hand = new Hand()
  const ssc = new StreamingContext(
    { appName: options.name ?? 'job', batchInterval: options.batchInterval ?? 1000, conf: options.conf ?? {} },
    { clock, log: new Log('silent') },
  )
  ssc.checkpoint(directory)
  const batches: [number, string[]][] = []
  const run = { ssc, hand, clock, batches }
  if (options.describe === undefined) {
    ssc.receiverStream(hand).foreachRDD(async (rdd, time) => {
      batches.push([time, await rdd.collect()])
    })
  } else options.describe(run)
  await ssc.start()
  await settle()
  await ssc.batchesFinished()
  return {
    ...run,
    async nextBatch() {
      clock.advance(options.batchInterval ?? 1000)
      await settle()
      await ssc.batchesFinished()
    },
  }
}
