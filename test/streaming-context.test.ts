/** Spark's states and errors, the life of a batch, and what a stop leaves behind. */
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError, Receiver, StorageLevel, StreamingContext, type StreamingListener } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Log } from '../dist/log.js'
import { collectBatches, settle, testContext } from './support/contexts.js'
import { Hand } from './support/durable-job.js'

class Source extends Receiver<number> {
  onStopCalls = 0
  constructor(level: StorageLevel = StorageLevel.MEMORY_ONLY) {
    super(level)
  }
  onStart(): void {}
  onStop(): void {
    this.onStopCalls++
  }
}

const code = (expected: string) => expect.objectContaining({ code: expected })

afterEach(async () => {
  await StreamingContext.getActive()?.stop()
})

describe('the states of a StreamingContext', () => {
  test('initialized, active, stopped; getActive names the one that runs', async () => {
    const { ssc } = testContext()
    ssc.queueStream([[1]]).foreachRDD(() => {})
    expect([ssc.getState(), StreamingContext.getActive()]).toEqual(['INITIALIZED', null])
    await ssc.start()
    expect(ssc.getState()).toBe('ACTIVE')
    expect(StreamingContext.getActive()).toBe(ssc)
    await ssc.stop()
    expect([ssc.getState(), StreamingContext.getActive()]).toEqual(['STOPPED', null])
  })

  test('starting a running context changes nothing but the log', async () => {
    const { ssc, log } = testContext()
    ssc.queueStream([[1]]).foreachRDD(() => {})
    await ssc.start()
    await ssc.start()
    expect(ssc.getState()).toBe('ACTIVE')
    expect(log.join('')).toContain('already been started')
  })

  test('settings that change nothing on the engine are told in the log at the start', async () => {
    const { ssc, log } = testContext({ 'spark.executor.memory': '2g', 'spark.streaming.blockInterval': '100ms' })
    ssc.queueStream([[1]]).foreachRDD(() => {})
    await ssc.start()
    const told = log.filter((line) => line.includes('no effect'))
    expect(told).toEqual([expect.stringMatching(/level=warn .*key=spark\.executor\.memory master=local/)])
  })

  test('a stopped context cannot start again', async () => {
    const { ssc } = testContext()
    ssc.queueStream([[1]]).foreachRDD(() => {})
    await ssc.start()
    await ssc.stop()
    await expect(ssc.start()).rejects.toEqual(code('CONTEXT_STOPPED'))
  })

  test('stopping before the start, and twice, is harmless', async () => {
    const { ssc } = testContext()
    expect(await ssc.stop()).toEqual(expect.objectContaining({ completedBatches: 0 }))
    await ssc.stop()
    await ssc.awaitTermination()
    expect(ssc.getState()).toBe('STOPPED')
  })

  test('a graph without an output operation does not start', async () => {
    const { ssc } = testContext()
    ssc.queueStream([[1]]).map((n) => n + 1)
    await expect(ssc.start()).rejects.toEqual(code('NO_OUTPUT_OPERATION'))
    expect(ssc.getState()).toBe('STOPPED')
  })

  test('only one context runs in a process', async () => {
    const first = testContext().ssc
    first.queueStream([[1]]).foreachRDD(() => {})
    await first.start()
    const second = testContext().ssc
    second.queueStream([[1]]).foreachRDD(() => {})
    await expect(second.start()).rejects.toEqual(code('CONTEXT_ALREADY_ACTIVE'))
    expect(first.getState()).toBe('ACTIVE')
  })

  test('inputs, transformations and outputs are refused after the start and after the stop', async () => {
    const { ssc } = testContext()
    const stream = ssc.queueStream([[1]])
    stream.foreachRDD(() => {})
    await ssc.start()
    const additions = [() => ssc.queueStream([]), () => stream.map((n) => n), () => stream.print()]
    for (const add of additions) expect(add).toThrow(code('CONTEXT_STARTED'))
    expect(() => stream.persist()).toThrow(code('UNSUPPORTED'))
    await ssc.stop()
    for (const add of additions) expect(add).toThrow(code('CONTEXT_STOPPED'))
  })

  test('a receiver feeds one stream only', () => {
    const { ssc } = testContext()
    const source = new Source()
    ssc.receiverStream(source)
    expect(() => ssc.receiverStream(source)).toThrow(code('ILLEGAL_ARGUMENT'))
  })

  test('wrong settings are told when the context is made', () => {
    const make = (options: object) => () => new StreamingContext({ appName: 'x', batchInterval: '1s', ...options })
    expect(make({ batchInterval: 'soon' })).toThrow(code('INVALID_DURATION'))
    expect(make({ batchInterval: Number.NaN })).toThrow(/^NaN is not a duration/)
    expect(make({ batchInterval: 0 })).toThrow(code('INVALID_DURATION'))
    expect(make({ conf: { 'spark.streaming.blockIntervall': '1s' } })).toThrow(/spark\.streaming\.blockInterval/)
    expect(make({ master: 'local[4]' })).toThrow(code('MASTER_NEEDS_JOB_MODULE'))
    expect(make({ master: 'spark://host:7077' })).toThrow(/defineJob/)
    expect(make({ master: 'everywhere' })).toThrow(code('UNKNOWN_MASTER'))
    expect(make({ appName: undefined })).toThrow(/appName, not undefined/)
    expect(make({ mater: 'local' })).toThrow(/no option mater.*master/)
    // @ts-expect-error
    expect(() => new StreamingContext()).toThrow(code('ILLEGAL_ARGUMENT'))
  })

  // biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what is tried
  const mistakes: readonly [string, (ssc: StreamingContext, stream: any) => unknown, RegExp][] = [
    ['map without a function', (_, stream) => stream.map(), /1-map needs a function, not undefined/],
    [
      'updateStateByKey without a function',
      (_, stream) => stream.updateStateByKey(),
      /updateStateByKey needs a function, not undefined/,
    ],
    [
      'mapWithState with a function',
      (_, stream) => stream.mapWithState((key: string) => key),
      /mapWithState needs a StateSpec, not the function/,
    ],
    ['a pair operation with text', (_, stream) => stream.reduceByKey('+'), /1-reduceByKey needs a function/],
    ['no partitions', (_, stream) => stream.repartition(0), /partitions/],
    [
      'foreachRDD without a function',
      (_, stream) => stream.foreachRDD({}),
      /foreachRDD needs a function, not an object/,
    ],
    ['transform without a function', (_, stream) => stream.transform(null), /transform needs a function, not null/],
    ['print of nothing', (_, stream) => stream.print(-1), /print needs a whole number/],
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ['a receiver class', (ssc) => ssc.receiverStream(Source as any), /needs a Receiver, not the class Source/],
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ['no receiver', (ssc) => ssc.receiverStream(undefined as any), /needs a Receiver, not undefined/],
    [
      'a receiver without onStop',
      (ssc) => ssc.receiverStream(Object.assign(new Source(), { onStop: undefined as never })),
      /Source has no onStop/,
    ],
    ['a union of nothing', (ssc) => ssc.union([]), /at least one stream/],
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ['a union without streams', (ssc) => (ssc.union as any)(), /at least one stream/],
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ['a queue that is none', (ssc) => ssc.queueStream(5 as any), /array of batches, not the number 5/],
    ['a port that is none', (ssc) => ssc.socketTextStream('127.0.0.1', 70_000), /1 to 65535/],
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ['no listener', (ssc) => ssc.addStreamingListener(null as any), /StreamingListener is an object/],
  ]
  test.each(mistakes)('%s is told at the call', (_, mistake, text) => {
    const { ssc } = testContext()
    const stream = ssc.queueStream([[1]])
    expect(() => mistake(ssc, stream)).toThrow(text)
    expect(() => mistake(ssc, stream)).toThrow(code('ILLEGAL_ARGUMENT'))
  })

  test('a transform that gives no RDD fails its batch, and says so', async () => {
    const { ssc, clock } = testContext()
    ssc
      .queueStream([[1]])
      // @ts-expect-error
      .transform(async (rdd) => rdd)
      .print()
    await ssc.start()
    clock.advance(1000)
    const error = await ssc.awaitTermination().catch((thrown: unknown) => thrown)
    expect(error).toEqual(code('ILLEGAL_STATE'))
    expect((error as Error).message).toMatch(/1-transform returned an object of Promise; it must return an RDD/)
  })
})

describe('batches', () => {
  test('the first batch is at the next multiple of the interval after the start', async () => {
    const clock = new ManualClock(12_345)
    const ssc = new StreamingContext({ appName: 'test', batchInterval: 1000 }, { clock })
    const times: number[] = []
    ssc.queueStream<number>([]).foreachRDD((_, time) => void times.push(time))
    await ssc.start()
    clock.setTo(15_000)
    await ssc.batchesFinished()
    expect(times).toEqual([13_000, 14_000, 15_000])
    await ssc.stop()
  })

  test('what a receiver stored until the tick is in the batch of the tick', async () => {
    const { ssc, nextBatch } = testContext({ 'spark.streaming.blockInterval': '200ms' })
    const source = new Source()
    const batches = collectBatches(ssc, source)
    await ssc.start()
    source.store(1)
    source.store(2)
    await nextBatch()
    await nextBatch()
    await source.storeBlock([3, 4])
    await nextBatch()
    expect(batches).toEqual([[1, 2], [], [3, 4]])
  })

  test('outputs run one after the other in the order they were registered, and delays are measured', async () => {
    const { ssc, clock, nextBatch } = testContext()
    const order: string[] = []
    const stream = ssc.queueStream([[1, 2, 3]])
    stream.foreachRDD(async () => {
      clock.advance(40)
      await settle()
      order.push('first')
    })
    stream.foreachRDD(() => void order.push('second'))
    const events: string[] = []
    const infos: unknown[] = []
    const listener: StreamingListener = {
      onBatchSubmitted: () => void events.push('submitted'),
      onBatchStarted: () => void events.push('started'),
      onOutputOperationStarted: ({ id }) => void events.push(`output ${id} started`),
      onOutputOperationCompleted: ({ id }) => void events.push(`output ${id} completed`),
      onBatchCompleted: (info) => {
        events.push('completed')
        infos.push(info)
      },
    }
    ssc.addStreamingListener(listener)
    await ssc.start()
    await nextBatch()
    expect(order).toEqual(['first', 'second'])
    expect(events).toEqual([
      'submitted',
      'started',
      'output 0 started',
      'output 0 completed',
      'output 1 started',
      'output 1 completed',
      'completed',
    ])
    expect(infos[0]).toMatchObject({
      batchTime: 1000,
      submissionTime: 1000,
      schedulingDelay: 0,
      processingDelay: 40,
      totalDelay: 40,
    })
  })

  test('one batch runs at a time: a slow one makes the next wait, and the wait is its scheduling delay', async () => {
    const { ssc, clock } = testContext()
    let running = 0
    const delays: (number | null)[] = []
    ssc.queueStream<number>([]).foreachRDD(async (_, time) => {
      running++
      expect(running).toBe(1)
      if (time === 1000) {
        clock.advance(1000)
        await settle()
        clock.advance(500)
        await settle()
      }
      running--
    })
    ssc.addStreamingListener({ onBatchCompleted: ({ schedulingDelay }) => void delays.push(schedulingDelay) })
    await ssc.start()
    clock.advance(1000)
    await settle()
    await ssc.batchesFinished()
    expect(delays).toEqual([0, 500])
  })

  test('however many batches wait behind a slow one, it completes', { timeout: 60_000 }, async () => {
    // More than a call may have arguments.
    const batches = 150_000
    const { ssc, clock } = testContext({}, 1)
    let release = (): void => {}
    const slow = new Promise<void>((resolve) => {
      release = resolve
    })
    ssc.queueStream<number>([]).foreachRDD(() => slow)
    const allWait = new Promise<void>((resolve) => {
      ssc.addStreamingListener({ onBatchSubmitted: ({ batchTime }) => void (batchTime === batches && resolve()) })
    })
    await ssc.start()
    clock.advance(batches)
    await allWait
    const stopped = ssc.stop()
    release()
    expect(await stopped).toMatchObject({ completedBatches: 1, unfinishedBatches: batches - 1 })
    await ssc.awaitTermination()
  })

  test.each([
    ['is lost: there is no checkpoint', false],
    ['runs at the next start', true],
  ])('a graceful stop that comes to its deadline says that the rest %s', async (fate, hasCheckpoint) => {
    const lines: string[] = []
    const clock = new ManualClock(0)
    const log = new Log('warn', {}, (line) => lines.push(line))
    const conf = { 'spark.streaming.gracefulStopTimeout': '20ms' }
    const ssc = new StreamingContext({ appName: 'hasty', batchInterval: 1000, conf }, { clock, log })
    const directory = await mkdtemp(join(tmpdir(), 'millrace-stop-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    if (hasCheckpoint) ssc.checkpoint(directory)
    const hand = new Hand()
    let end = (): void => {}
    ssc.receiverStream(hand).foreachRDD(() => new Promise((resolve) => (end = resolve)))
    await ssc.start()
    await hand.give('slow')
    clock.advance(1000)
    await settle()
    await hand.give('waits')
    const stopped = ssc.stop({ graceful: true })
    await new Promise((resolve) => setTimeout(resolve, 50))
    end()
    expect(await stopped).toMatchObject({ timedOut: true, hasUnprocessedInput: true })
    expect(lines).toEqual([expect.stringContaining(`before everything was processed; the rest ${fate}`)])
  })

  test('a failed batch stops the context; awaitTermination rejects every time, naming batch, operator and record', async () => {
    const { ssc, clock } = testContext()
    ssc
      .queueStream([[1, 2], [3]])
      .map((n) => {
        if (n === 2) throw new RangeError('two is too many')
        return n
      })
      .foreachRDD(async (rdd) => void (await rdd.collect()))
    const reasons: (string | null)[] = []
    ssc.addStreamingListener({ onOutputOperationCompleted: ({ failureReason }) => void reasons.push(failureReason) })
    await ssc.start()
    clock.advance(1000)
    for (let i = 0; i < 2; i++) {
      const error = await ssc.awaitTermination().catch((thrown: unknown) => thrown)
      expect(MillraceError.is(error, 'BATCH_FAILED')).toBe(true)
      expect((error as MillraceError).details).toMatchObject({
        batchTime: 1000,
        operator: '1-map',
        record: '2',
        partition: 0,
      })
      expect((error as Error).message).toContain('two is too many')
    }
    expect(reasons).toHaveLength(1)
    expect(ssc.getState()).toBe('STOPPED')
  })

  test('stopping inside a listener is refused, since the stop would wait for the listener', async () => {
    const { ssc, nextBatch } = testContext()
    let refusal: unknown
    ssc.queueStream<number>([]).foreachRDD(() => {})
    ssc.addStreamingListener({
      onBatchCompleted: () => {
        try {
          void ssc.stop()
        } catch (error) {
          refusal = error
        }
      },
    })
    await ssc.start()
    await nextBatch()
    expect(refusal).toEqual(code('ILLEGAL_STATE'))
  })

  test('a listener that throws is warned about and hurts nobody', async () => {
    const { ssc, nextBatch } = testContext()
    const warnings: string[] = []
    const warned = new Promise<void>((resolve) => {
      const onWarning = ({ message }: Error): void => {
        if (warnings.push(message) === 2) resolve()
      }
      process.on('warning', onWarning)
      onTestFinished(() => void process.off('warning', onWarning))
    })
    let completed = 0
    ssc.queueStream<number>([]).foreachRDD(() => {})
    ssc.addStreamingListener({
      onBatchStarted: () => {
        throw new Error('page is gone')
      },
      onBatchSubmitted: async () => {
        await null
        throw new Error('page was never there')
      },
      onBatchCompleted: () => void completed++,
    })
    await ssc.start()
    await nextBatch()
    expect(completed).toBe(1)
    await warned
    expect(warnings.join()).toContain('page is gone')
    expect(warnings.join()).toContain('page was never there')
  })
})

describe('stopping', () => {
  test('gracefully: what was received and not yet batched is processed in one last batch', async () => {
    const { ssc, nextBatch } = testContext()
    const source = new Source()
    const batches = collectBatches(ssc, source)
    await ssc.start()
    source.store(1)
    await nextBatch()
    source.store(2)
    const result = await ssc.stop({ graceful: true })
    expect(batches).toEqual([[1], [2]])
    expect(result).toEqual({
      graceful: true,
      timedOut: false,
      completedBatches: 2,
      skippedBatches: 0,
      unfinishedBatches: 0,
      hasUnprocessedInput: false,
    })
    expect(source.onStopCalls).toBe(1)
  })

  test('without grace the batch that runs is finished and waiting ones are dropped', async () => {
    const { ssc, clock } = testContext()
    const done: number[] = []
    let release = () => {}
    ssc.queueStream<number>([]).foreachRDD(async (_, time) => {
      if (time === 1000) await new Promise<void>((resolve) => (release = resolve))
      done.push(time)
    })
    await ssc.start()
    clock.advance(3000)
    await settle()
    const stopped = ssc.stop()
    await settle()
    release()
    await stopped
    expect(done).toEqual([1000])
  })

  test('an output may call stop without waiting for it; waiting is refused instead of lasting for ever', async () => {
    const { ssc, clock } = testContext()
    ssc.queueStream<number>([]).foreachRDD(async (_, time) => {
      if (time === 2000) void ssc.stop()
      if (time > 2000) throw new Error('the context should have stopped')
    })
    await ssc.start()
    clock.advance(5000)
    await ssc.awaitTermination()

    const second = testContext()
    second.ssc.queueStream<number>([]).foreachRDD(async () => {
      await null
      await second.ssc.stop()
    })
    await second.ssc.start()
    second.clock.advance(1000)
    await expect(second.ssc.awaitTermination()).rejects.toThrow('without awaiting it')
  })

  test('awaitTerminationOrTimeout tells whether the context stopped in time', async () => {
    const { ssc } = testContext()
    ssc.queueStream<number>([]).foreachRDD(() => {})
    await ssc.start()
    expect(await ssc.awaitTerminationOrTimeout(1)).toBe(false)
    await ssc.stop()
    expect(await ssc.awaitTerminationOrTimeout('1m')).toBe(true)
  })
})

describe('memory', () => {
  test('blocks and RDDs of finished batches are let go', async () => {
    const { ssc, nextBatch } = testContext()
    const source = new Source()
    collectBatches(ssc, source)
    await ssc.start()
    for (let batch = 0; batch < 20; batch++) {
      await source.storeBlock([batch])
      await nextBatch()
    }
    for (const node of ssc.graph.nodes) expect(node.generated.size).toBeLessThanOrEqual(2)
  })
})

describe('the memory bound', () => {
  test('at the bound a store waits until a batch is done; nothing is dropped', async () => {
    const { ssc, nextBatch } = testContext({ 'millrace.receiver.memory': 1000 })
    const source = new Source()
    const batches = collectBatches(ssc, source)
    await ssc.start()
    const stored: number[] = []
    const stores = [1, 2, 3].map((n) =>
      source.storeBlock(Array.from({ length: 100 }, () => n)).then(() => void stored.push(n)),
    )
    await settle()
    expect(stored).toEqual([1])
    await nextBatch()
    expect(stored).toEqual([1, 2])
    await nextBatch()
    await nextBatch()
    await Promise.all(stores)
    expect(batches.map((batch) => batch[0])).toEqual([1, 2, 3])
  })

  test.each([
    ['MEMORY_AND_DISK', 10_000, [1, 2, 3]],
    ['MEMORY_AND_DISK_SER_2', 1000, [1, 2]],
    ['MEMORY_ONLY', 10_000, [1]],
    ['DISK_ONLY', 10_000, [1, 2, 3]],
    ['DISK_ONLY', 0, [1]],
  ] as const)(
    'input of a receiver with %s waits in up to %i bytes of files beyond it; nothing is dropped',
    async (level, diskBytes, storedAtOnce) => {
      const conf = { 'millrace.receiver.memory': 1000, 'millrace.receiver.disk': diskBytes }
      const { ssc, nextBatch } = testContext(conf)
      const source = new Source(StorageLevel[level])
      const batches = collectBatches(ssc, source)
      await ssc.start()
      const stored: number[] = []
      const stores = [1, 2, 3].map((n) =>
        source.storeBlock(Array.from({ length: 100 }, () => n)).then(() => void stored.push(n)),
      )
      await vi.waitFor(() => expect(stored).toEqual(storedAtOnce), 60_000)
      while (stored.length < 3) await nextBatch()
      await Promise.all(stores)
      await nextBatch()
      expect(batches.flat()).toEqual([1, 2, 3].flatMap((n) => Array(100).fill(n)))
      await ssc.stop()
      expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`millrace-${process.pid}-`))).toEqual([])
    },
  )

  test('a stop does not wait for room that no batch will make', async () => {
    const { ssc } = testContext({ 'millrace.receiver.memory': 1000 })
    const source = new Source()
    const batches = collectBatches(ssc, source)
    await ssc.start()
    const stores = [1, 2].map((n) => source.storeBlock(Array.from({ length: 100 }, () => n)))
    await settle()
    await ssc.stop({ graceful: true })
    await Promise.all(stores)
    expect(batches.flat()).toHaveLength(200)
  })
})
