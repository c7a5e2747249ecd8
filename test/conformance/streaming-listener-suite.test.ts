/** Spark's StreamingListenerSuite and RecurringTimerSuite: what listeners hear, and when the batch clock ticks. Each test is named for its vector. */
import { type BatchInfo, Receiver, type ReceiverInfo, StorageLevel, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { TimerClock } from '../../dist/engine/timer-clock.js'
import { settle, testContext } from '../support/contexts.js'
import { millraceError } from '../support/errors.js'
import { expectedOf, vectorOf } from '../support/vectors.js'

const suite = (name: string): string => `streaminglistenersuite/${name}`

afterEach(async () => {
  await StreamingContext.getActive()?.stop()
})

/** Reports an error as soon as it runs, and then stops itself. */
class Reporting extends Receiver<number> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {
    this.reportError('test report error', new Error('test report exception'))
    this.stop('test stop')
  }
  onStop(): void {}
}

class Source extends Receiver<number> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {}
  onStop(): void {}
}

/** A delay as the vectors say it. */
const shown = (delay: number | null): string | null => (delay === null ? null : delay >= 0 ? '>=0' : String(delay))

describe('Spark StreamingListenerSuite', () => {
  test(suite('receiver-info-reporting'), async () => {
    const { ssc } = testContext()
    const started: number[] = []
    const stopped: number[] = []
    const errors: ReceiverInfo[] = []
    ssc.addStreamingListener({
      onReceiverStarted: ({ streamId }) => void started.push(streamId),
      onReceiverStopped: ({ streamId }) => void stopped.push(streamId),
      onReceiverError: (info) => void errors.push(info),
    })
    ssc.receiverStream(new Reporting()).foreachRDD(() => {})
    await ssc.start()
    await settle()
    const [expected] = expectedOf(suite('receiver-info-reporting'))[0] as [
      {
        started: number[]
        stopped: number[]
        errors: { streamId: number; lastErrorMessageContains: string; lastErrorContains: string }[]
      },
    ]
    expect([started, stopped]).toEqual([expected.started, expected.stopped])
    expect(errors.map(({ streamId }) => streamId)).toEqual(expected.errors.map(({ streamId }) => streamId))
    expected.errors.forEach(({ lastErrorMessageContains, lastErrorContains }, i) => {
      expect(errors[i]!.lastErrorMessage).toContain(lastErrorMessageContains)
      expect(errors[i]!.lastError).toContain(lastErrorContains)
    })
  })

  test(suite('batch-info-reporting'), async () => {
    const { params, input } = vectorOf(suite('batch-info-reporting'))
    const { ssc, clock, nextBatch } = testContext({}, params.batchMs)
    const heard: Record<'submitted' | 'started' | 'completed', BatchInfo[]> = {
      submitted: [],
      started: [],
      completed: [],
    }
    ssc.addStreamingListener({
      onBatchSubmitted: (info) => void heard.submitted.push(info),
      onBatchStarted: (info) => void heard.started.push(info),
      onBatchCompleted: (info) => void heard.completed.push(info),
    })
    const source = new Source()
    ssc.receiverStream(source).foreachRDD(async (rdd) => {
      await rdd.count()
      clock.advance(3)
    })
    await ssc.start()
    for (const batch of input) {
      await source.storeBlock(batch as number[])
      await nextBatch()
    }
    const expected = expectedOf(suite('batch-info-reporting')).map(([first]) => first as Record<string, unknown>)
    for (const want of expected.slice(0, 3)) {
      const infos = heard[want.event as keyof typeof heard]
      expect(infos).toHaveLength(want.count as number)
      for (const info of infos) {
        expect({
          schedulingDelay: shown(info.schedulingDelay),
          processingDelay: shown(info.processingDelay),
          numRecords: info.numRecords,
        }).toEqual({
          schedulingDelay: want.schedulingDelay,
          processingDelay: want.processingDelay,
          numRecords: want.numRecords,
        })
        if ('totalDelay' in want) expect(shown(info.totalDelay)).toBe(want.totalDelay)
        if ('streamIdToInputInfo' in want) {
          const inputs = Object.fromEntries(info.inputs.map(({ streamId, numRecords }) => [streamId, numRecords]))
          expect(inputs).toEqual(want.streamIdToInputInfo)
        }
      }
    }
    for (const field of ['submissionTime', 'processingStartTime', 'processingEndTime'] as const) {
      expect(expected[3]![field]).toBe('non-decreasing')
      const times = heard.completed.map((info) => info[field]!)
      expect(times).toEqual([...times].sort((a, b) => a - b))
    }
  })

  test(suite('don-t-call-ssc-stop-in-listener'), async () => {
    const { ssc, nextBatch } = testContext()
    const thrown: unknown[] = []
    ssc.queueStream<number>([]).foreachRDD(() => {})
    ssc.addStreamingListener({
      onBatchCompleted: () => {
        try {
          void ssc.stop()
        } catch (error) {
          thrown.push(error)
        }
      },
    })
    await ssc.start()
    await nextBatch()
    expect(expectedOf(suite('don-t-call-ssc-stop-in-listener'))).toEqual([[{ throws: 'SparkException' }]])
    expect(thrown).toEqual([expect.toSatisfy(millraceError('ILLEGAL_STATE'))])
  })
})

describe('Spark RecurringTimerSuite', () => {
  test('recurringtimersuite/basic', async () => {
    const clock = new ManualClock(0)
    const timer = new TimerClock(clock)
    const ticks: number[] = []
    const seen: unknown[] = []
    timer.start(0, 100, async (time) => void ticks.push(time))
    for (const step of [0, 100, 200]) {
      clock.advance(step)
      await timer.settled()
      seen.push([...ticks])
    }
    seen.push([await timer.stop()])
    expect(seen).toEqual(expectedOf('recurringtimersuite/basic'))
  })
})
