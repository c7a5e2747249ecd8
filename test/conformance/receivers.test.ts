/** Spark's expectations of receivers, their blocks and the events about them. Each test is named for its vector. */
import { type BatchInfo, Receiver, type ReceiverInfo, StorageLevel, type StreamingListener } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { BlockGenerator } from '../../dist/receiver/block-generator.js'
import { RateLimiter } from '../../dist/receiver/rate-limiter.js'
import { ReceiverSupervisor } from '../../dist/receiver/receiver-supervisor.js'
import { settle } from '../support/contexts.js'
import { millraceError } from '../support/errors.js'
import { manualContext } from '../support/streams.js'
import { expectedOf, vectorOf } from '../support/vectors.js'

class Recorder extends Receiver<number> {
  readonly calls: string[] = []
  /** What it does once started. */
  work: () => void | Promise<void> = () => {}

  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void | Promise<void> {
    this.calls.push('onStart')
    return this.work()
  }
  onStop(): void {
    this.calls.push('onStop')
  }
}

describe('the block generator', () => {
  test('blockgeneratorsuite/block-generation-and-data-callbacks', async () => {
    const { params, input, expected } = vectorOf('blockgeneratorsuite/block-generation-and-data-callbacks')
    const { blockIntervalMs } = params as never as { blockIntervalMs: number }
    const clock = new ManualClock(0)
    const pushed: number[] = []
    const generator = new BlockGenerator<number>({
      clock,
      blockIntervalMs,
      queueSize: 10,
      limiter: new RateLimiter(clock, null),
      store: async (records) => void pushed.push(...records),
      onError: (message, error) => expect([message, error]).toEqual([]),
    })
    const refused = (call: () => void): { throws: string } | { throws: null } => {
      try {
        call()
        return { throws: null }
      } catch (error) {
        return millraceError('ILLEGAL_STATE')(error) ? { throws: 'SparkException' } : { throws: String(error) }
      }
    }
    let isStopped = false
    for (const [i, [step, ...values]] of (input as [string, ...number[]][]).entries()) {
      const [seen] = expected[i] as [{ pushed?: number[]; stopped?: boolean; throws?: string | null }]
      if (step === 'start' && !isStopped) generator.start()
      else if (step === 'advance') {
        clock.advance(values[0]!)
        await settle()
      } else if (step.startsWith('stop in another thread')) {
        await generator.stop()
        isStopped = true
      } else if (step === 'stop') await generator.stop()
      else if (isStopped)
        expect(
          refused(() => (step === 'start' ? generator.start() : generator.add(1))),
          step,
        ).toEqual(seen)
      // There is one way to add; metadata does not go with records here.
      else if (step.startsWith('add')) for (const value of values) generator.add(value)
      if (seen.pushed !== undefined) expect(pushed, `${i}: ${step}`).toEqual(seen.pushed)
    }
  })
})

describe('a receiver', () => {
  test('receiversuite/receiver-life-cycle', async () => {
    const [[{ minGapMs }]] = expectedOf('receiversuite/receiver-life-cycle').filter(
      ([step]) => (step as { minGapMs?: number }).minGapMs !== undefined,
    ) as [[{ minGapMs: number }]]
    const clock = new ManualClock(0)
    const receiver = new Recorder()
    const events: string[] = []
    const stored: (readonly unknown[])[] = []
    const supervisor = new ReceiverSupervisor(receiver, {
      streamId: 0,
      clock,
      blockIntervalMs: 200,
      blockQueueSize: 10,
      restartDelayMs: 2000,
      ratePerSecond: null,
      store: { storeRecords: async (records) => void stored.push(records), storeBytes: async () => {} },
      events: {
        started: () => events.push('started'),
        error: (_message, error) => events.push(`error ${error.message}`),
        stopped: (message) => events.push(`stopped ${message}`),
      },
    })
    await supervisor.start()
    expect([receiver.calls, receiver.isStarted(), receiver.isStopped()]).toEqual([['onStart'], true, false])
    receiver.store(1)
    await receiver.storeBlock([2, 3])
    clock.advance(200)
    await settle()
    expect(stored).toEqual([[2, 3], [1]])
    receiver.reportError('Error', new Error('an error'))
    expect(events).toEqual(['started', 'error an error'])
    receiver.restart('restarting', undefined, minGapMs)
    await settle()
    expect(receiver.calls).toEqual(['onStart', 'onStop'])
    clock.advance(minGapMs - 1)
    await settle()
    expect(receiver.calls).toEqual(['onStart', 'onStop'])
    clock.advance(1)
    await settle()
    expect(receiver.calls).toEqual(['onStart', 'onStop', 'onStart'])
    expect([receiver.isStarted(), receiver.isStopped()]).toEqual([true, false])
    receiver.stop('test')
    await settle()
    expect(receiver.isStopped()).toBe(true)
    expect(events.at(-1)).toBe('stopped test')
  })

  test('receivertrackersuite/should-restart-receiver-after-stopping-it (different: a stop is for good, restart begins anew)', async () => {
    const { ssc, clock } = manualContext(100)
    const receiver = new Recorder()
    let started = 0
    ssc.addStreamingListener({ onReceiverStarted: () => started++ })
    ssc.receiverStream(receiver).foreachRDD(() => {})
    await ssc.start()
    await settle()
    receiver.stop('itself')
    await settle()
    clock.advance(60_000)
    await settle()
    expect([started, receiver.calls]).toEqual([1, ['onStart', 'onStop']])
    await ssc.batchesFinished()
  })

  test('inputstreamssuite/multi-thread-receiver', async () => {
    const { params, expected } = vectorOf('inputstreamssuite/multi-thread-receiver')
    const { threads, recordsPerThread } = params as never as { threads: number; recordsPerThread: number }
    const { ssc, clock } = manualContext()
    const receiver = new Recorder()
    const counts: number[] = []
    ssc
      .receiverStream(receiver)
      .count()
      .foreachRDD(async (rdd) => {
        counts.push(...(await rdd.collect()))
      })
    // Ten that store one by one, taking turns, each waiting when it is asked to.
    const produce = async (): Promise<void> => {
      for (let i = 0; i < recordsPerThread; i++) {
        if (!receiver.store(i)) await receiver.drained()
        if (i % 100 === 0) await settle()
      }
    }
    let working: Promise<unknown> = Promise.resolve()
    receiver.work = () => {
      working = Promise.all(Array.from({ length: threads }, produce))
    }
    await ssc.start()
    let isDone = false
    void working.then(() => {
      isDone = true
    })
    while (!isDone) {
      clock.advance(100)
      await settle()
      await ssc.batchesFinished()
    }
    await ssc.stop({ graceful: true })
    expect([[counts.reduce((a, b) => a + b, 0)]]).toEqual(expected)
  })
})

/** Notes the events of receivers and batches. */
class Listener implements StreamingListener {
  readonly receivers: Record<string, ReceiverInfo[]> = { started: [], stopped: [], errors: [] }
  readonly batches: Record<string, BatchInfo[]> = { submitted: [], started: [], completed: [] }
  onReceiverStarted(receiver: ReceiverInfo): void {
    this.receivers.started!.push(receiver)
  }
  onReceiverStopped(receiver: ReceiverInfo): void {
    this.receivers.stopped!.push(receiver)
  }
  onReceiverError(receiver: ReceiverInfo): void {
    this.receivers.errors!.push(receiver)
  }
  onBatchSubmitted(batch: BatchInfo): void {
    this.batches.submitted!.push(batch)
  }
  onBatchStarted(batch: BatchInfo): void {
    this.batches.started!.push(batch)
  }
  onBatchCompleted(batch: BatchInfo): void {
    this.batches.completed!.push(batch)
  }
}

describe('listeners', () => {
  test('streaminglistenersuite/receiver-info-reporting', async () => {
    const [[{ errors }]] = expectedOf('streaminglistenersuite/receiver-info-reporting') as [
      [{ errors: [{ streamId: number; lastErrorMessageContains: string; lastErrorContains: string }] }],
    ]
    const { ssc } = manualContext()
    const listener = new Listener()
    ssc.addStreamingListener(listener)
    const receiver = new Recorder()
    receiver.work = () => {
      setImmediate(() => {
        receiver.reportError('report error', new Error('report exception'))
        receiver.stop('done')
      })
    }
    ssc.receiverStream(receiver).foreachRDD(() => {})
    await ssc.start()
    await settle()
    expect(listener.receivers.started!.map(({ streamId }) => streamId)).toEqual([0])
    expect(listener.receivers.stopped!.map(({ streamId }) => streamId)).toEqual([0])
    const [reported] = listener.receivers.errors!
    expect(reported!.streamId).toBe(errors[0].streamId)
    expect(reported!.lastErrorMessage).toContain(errors[0].lastErrorMessageContains)
    expect(reported!.lastError).toContain(errors[0].lastErrorContains)
    expect(reported!.lastErrorTime, 'an error text came with it').toBeGreaterThanOrEqual(0)
    expect(listener.receivers.started![0]!.lastErrorTime, 'none came before').toBe(-1)
  })

  test('streaminglistenersuite/batch-info-reporting', async () => {
    const { input, expected } = vectorOf('streaminglistenersuite/batch-info-reporting')
    const { ssc, clock } = manualContext(100)
    const listener = new Listener()
    ssc.addStreamingListener(listener)
    const receiver = new Recorder()
    ssc.receiverStream(receiver).foreachRDD(async (rdd) => {
      await rdd.count()
    })
    await ssc.start()
    await settle()
    for (const batch of input as number[][]) {
      await receiver.storeBlock(batch)
      clock.advance(100)
      await ssc.batchesFinished()
    }
    const steps = expected.slice(0, 3).map(([step]) => step) as Record<string, unknown>[]
    for (const { event, count, numRecords, ...delays } of steps) {
      const infos = listener.batches[event as string]!
      expect(infos.length, `${event}`).toBe(count)
      for (const info of infos) {
        expect(info.numRecords).toBe(numRecords)
        for (const name of ['schedulingDelay', 'processingDelay', 'totalDelay'] as const) {
          if (delays[name] === null) expect(info[name], `${event}: ${name}`).toBeNull()
          else if (delays[name] === '>=0') expect(info[name], `${event}: ${name}`).toBeGreaterThanOrEqual(0)
        }
      }
    }
    expect(listener.batches.submitted!.map(({ inputs }) => inputs)).toEqual(
      listener.batches.submitted!.map(() => [{ streamId: 0, numRecords: 1 }]),
    )
    for (const name of ['submissionTime', 'processingStartTime', 'processingEndTime'] as const) {
      const times = listener.batches.completed!.map((info) => info[name]!)
      expect(times, 'non-decreasing').toEqual([...times].sort((a, b) => a - b))
    }
  })

  test('streaminglistenersuite/don-t-call-ssc-stop-in-listener', async () => {
    const { ssc, batches } = manualContext()
    const thrown: unknown[] = []
    ssc.addStreamingListener({
      onBatchCompleted: () => {
        try {
          void ssc.stop()
        } catch (error) {
          thrown.push(error)
        }
      },
    })
    ssc.queueStream([[1]]).foreachRDD(() => {})
    await batches(1)
    expect(thrown).toEqual([expect.objectContaining({ code: 'ILLEGAL_STATE' })])
  })
})
