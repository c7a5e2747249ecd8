/** Ten times more input than a job can do: its rate comes down to the job's own, and what waits is bounded. Time is a clock the test moves. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BatchInfo, Receiver, StorageLevel, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { Log } from '../../dist/log.js'
import { settle } from '../support/contexts.js'
import { Hand } from '../support/durable-job.js'

afterEach(async () => {
  await StreamingContext.getActive()?.stop()
})

const batchMs = 1000
/** What the job can do, and what the source has, in records per second. */
const capacity = 1000
const offered = 10 * capacity
const stepMs = 100

/** A source of `offered` records a second that keeps to its rate: a block every step. */
class Eager extends Receiver<number> {
  readonly #clock: ManualClock
  #isOn = false
  given = 0

  constructor(clock: ManualClock) {
    super(StorageLevel.MEMORY_ONLY)
    this.#clock = clock
  }
  onStart(): void {
    this.#isOn = true
    this.#next()
  }
  onStop(): void {
    this.#isOn = false
  }
  get rate(): number | null {
    return this.ratePerSecond
  }
  #next(): void {
    this.#clock.at(this.#clock.now() + stepMs, () => {
      if (!this.#isOn) return
      const rate = Math.min(offered, this.ratePerSecond ?? offered)
      const count =
        Math.floor((rate * this.#clock.now()) / 1000) - Math.floor((rate * (this.#clock.now() - stepMs)) / 1000)
      if (count > 0) void this.storeBlock(Array.from({ length: count }, () => this.given++))
      this.#next()
    })
  }
}

describe('a job that is offered ten times what it can do', () => {
  it('takes what it can do: scheduling delay and waiting batches stay bounded, and nothing is left out', {
    timeout: 60_000,
  }, async () => {
    const clock = new ManualClock(0)
    const conf = {
      'spark.streaming.backpressure.enabled': true,
      'spark.streaming.backpressure.initialRate': 2 * capacity,
    }
    const ssc = new StreamingContext(
      { appName: 'slow', batchInterval: batchMs, conf },
      { clock, log: new Log('silent') },
    )
    const source = new Eager(clock)
    const done: BatchInfo[] = []
    const submitted: number[] = []
    ssc.addStreamingListener({
      onBatchSubmitted: ({ batchTime }) => {
        submitted.push(batchTime)
      },
      onBatchCompleted: (batch) => {
        done.push(batch)
      },
    })
    const numbers: number[] = []
    let waitingMax = 0
    ssc.receiverStream(source).foreachRDD(async (rdd) => {
      const records = await rdd.collect()
      numbers.push(...records)
      waitingMax = Math.max(waitingMax, submitted.length - done.length)
      // The work: as long as the records take, by the clock, while the source and the batch clock go on.
      for (let left = Math.ceil((records.length * 1000) / capacity); left > 0; left -= stepMs) {
        clock.advance(Math.min(left, stepMs))
        await settle()
      }
    })
    await ssc.start()
    expect(source.rate).toBe(2 * capacity)
    while (done.length < 60) {
      // Up to the next batch, when none runs.
      if (submitted.length === done.length) clock.advance(stepMs)
      await settle()
    }
    const late = done.slice(-20).map(({ schedulingDelay }) => schedulingDelay ?? 0)
    expect(Math.max(...late)).toBeLessThan(2 * batchMs)
    expect(waitingMax).toBeLessThan(8)
    expect(source.rate).toBeLessThanOrEqual(1.1 * capacity)
    expect(source.rate).toBeGreaterThan(0.5 * capacity)
    // The job is kept busy: it did most of what it could.
    expect(numbers.length).toBeGreaterThan((0.7 * capacity * clock.now()) / 1000)
    const stopping = ssc.stop({ graceful: true })
    expect(await stopping).toMatchObject({ graceful: true })
    expect(numbers).toEqual(Array.from({ length: source.given }, (_, i) => i))
  })

  for (const isLogged of [false, true]) {
    it(`holds no more than its memory bound of what waits${isLogged ? ', with the log on' : ''}, however long it stands still`, async () => {
      const directory = await mkdtemp(join(tmpdir(), 'millrace-overload-'))
      const clock = new ManualClock(0)
      const memory = 1_000_000
      const conf = { 'millrace.receiver.memory': memory }
      const ssc = new StreamingContext(
        { appName: 'still', batchInterval: batchMs, conf },
        { clock, log: new Log('silent') },
      )
      if (isLogged) ssc.checkpoint(directory)
      const hand = new Hand()
      const seen: string[] = []
      let goOn = (): void => {}
      let isStill = true
      ssc.receiverStream(hand).foreachRDD(async (rdd) => {
        const records = await rdd.collect()
        if (isStill) await new Promise<void>((resolve) => (goOn = resolve))
        seen.push(...records)
      })
      await ssc.start()
      const block = (n: number): string[] => Array.from({ length: 100 }, (_, i) => `${n}-${i}`.padEnd(1000))
      let stored = 0
      const storing = Array.from({ length: 100 }, async (_, n) => {
        await hand.give(...block(n))
        stored++
      })
      for (let batch = 0; batch < 10; batch++) {
        clock.advance(batchMs)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      // Ten blocks of 100 kB fill it, by an estimate that counts a little more than their text.
      expect(stored).toBeGreaterThan(3)
      expect(stored).toBeLessThanOrEqual(memory / 100_000 + 1)
      isStill = false
      goOn()
      while (seen.length < 10_000) {
        clock.advance(batchMs)
        await settle()
        await ssc.batchesFinished()
      }
      await Promise.all(storing)
      expect(new Set(seen).size).toBe(10_000)
      expect(seen.length).toBe(10_000)
      await ssc.stop()
      await rm(directory, { recursive: true })
    })
  }
})
