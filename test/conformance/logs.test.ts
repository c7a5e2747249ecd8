/** Spark's expectations of received blocks, their log and what is recovered from it, on the log there is here. Each test is named for its vector. */
import { ManualClock } from 'millrace/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Conf } from '../../dist/conf.js'
import { openCheckpoint } from '../../dist/durability.js'
import { ReceivedBlockTracker } from '../../dist/engine/embedded/received-block-tracker.js'
import { ReceiverTracker } from '../../dist/engine/embedded/receiver-tracker.js'
import type { BlockInfo } from '../../dist/rdd/lineage.js'
import { BlockManager } from '../../dist/storage/block-manager.js'
import { Journal } from '../../dist/storage/journal.js'
import { readLog } from '../../dist/storage/log-reader.js'
import { WriteAheadLog } from '../../dist/storage/write-ahead-log.js'
import { FaultyDirectory } from '../storage/faulty-directory.js'
import { settle } from '../support/contexts.js'
import { Hand } from '../support/durable-job.js'
import { expectedOf, vectorOf } from '../support/vectors.js'

const block = (id: string): BlockInfo => ({ id, streamId: 1, records: 1, bytes: 0, slot: 0, locations: [0] })

describe('the tracker of received blocks', () => {
  test('receivedblocktrackersuite/block-addition-and-block-to-batch-allocation', () => {
    const { input, expected } = vectorOf('receivedblocktrackersuite/block-addition-and-block-to-batch-allocation')
    const tracker = new ReceivedBlockTracker()
    let added: string[] = []
    const steps: Record<string, (...args: string[]) => unknown[]> = {
      walEnabled: () => [false],
      add: (...ids) => {
        added = ids
        for (const id of ids) tracker.apply({ type: 'blockAdded', block: block(id) })
        return []
      },
      unallocated: () => (tracker.hasUnallocatedBlocks ? added : []),
      allocate: (time) => {
        const event = tracker.allocation(Number(time))
        if (event !== null) tracker.apply(event)
        return []
      },
      blocksOf: (time) => [...(tracker.blocksOf(Number(time)).get(1) ?? [])].flat().map(({ id }) => id),
    }
    const seen = (input as string[][]).map(([step, ...args]) => steps[step!]!(...args))
    expect(seen).toEqual(expected)
  })

  test('receivedblocktrackersuite/disable-write-ahead-log-when-checkpoint-directory-is-not-set', async () => {
    const job = { directory: null, createOnError: false, name: 'job', batchMs: 1000, onError: () => {} }
    const engine = {
      useJournal: () => {
        throw new Error('There is a log')
      },
    }
    const checkpoint = await openCheckpoint(Conf.from({}), engine as never, job as never)
    expect([[checkpoint !== null]]).toEqual(
      expectedOf('receivedblocktrackersuite/disable-write-ahead-log-when-checkpoint-directory-is-not-set'),
    )
  })

  /** A tracker over the log in `directory`, and a receiver that feeds it. */
  async function opened(directory: FaultyDirectory) {
    const journal = await Journal.open(directory, { segmentBytes: 2000 })
    const hand = new Hand()
    const tracker = new ReceiverTracker({
      clock: new ManualClock(0),
      blocks: new BlockManager({ memoryBytes: 1 << 20, spill: null as never, onDropped: () => {} }),
      blockIntervalMs: 200,
      blockQueueSize: 10,
      restartDelayMs: 2000,
      memoryBytes: 1 << 20,
      diskBytes: 0,
      spill: null as never,
      ratePerSecond: null,
      listener: { receiverStarted: () => {}, receiverError: () => {}, receiverStopped: () => {} },
      threads: null,
      prepare: async () => {},
    })
    tracker.useJournal(journal)
    await tracker.start(new Map([[0, hand]]))
    await settle()
    onTestFinished(async () => {
      await tracker.stop()
      await journal.close().catch(() => {})
    })
    const batch = async (time: number) => [...((await tracker.allocate(time)).get(0) ?? [])].flat().map(({ id }) => id)
    return { journal, hand, tracker, batch, ends: () => journal.close() }
  }

  const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => `input-0-${from + i}`)

  test('receivedblocktrackersuite/recovery-with-write-ahead-logs-should-remove-only-allocated-blocks-from-received-queue', async () => {
    const directory = new FaultyDirectory()
    const first = await opened(directory)
    for (let i = 0; i < 5; i++) await first.hand.give('a')
    expect(await first.batch(1000)).toEqual(ids(0, 5))
    for (let i = 0; i < 5; i++) await first.hand.give('u')
    await first.ends()
    const second = await opened(directory)
    expect(await second.batch(1000)).toEqual(ids(0, 5))
    expect(second.tracker.hasUnallocatedBlocks).toBe(true)
    expect(await second.batch(2000)).toEqual(ids(5, 5))
  })

  test('receivedblocktrackersuite/block-allocation-to-batch-should-not-loose-blocks-from-received-queue', async () => {
    const directory = new FaultyDirectory()
    const first = await opened(directory)
    for (let i = 0; i < 5; i++) await first.hand.give('b')
    directory.fault = (operation) => (operation === 'write' ? 'ENOSPC' : null)
    await expect(first.batch(1000)).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' })
    expect(first.tracker.hasUnallocatedBlocks).toBe(true)
    directory.fault = () => null
    expect(await first.batch(2000)).toEqual(ids(0, 5))
    expect(first.tracker.hasUnallocatedBlocks).toBe(false)
    await first.ends()
    const second = await opened(directory)
    expect(second.tracker.hasUnallocatedBlocks).toBe(false)
    expect(await second.batch(2000)).toEqual(ids(0, 5))
  })

  test('receivedblocktrackersuite/recovery-and-cleanup-with-write-ahead-logs', async () => {
    const directory = new FaultyDirectory()
    const first = await opened(directory)
    for (let i = 0; i < 5; i++) await first.hand.give('x')
    await first.ends()
    const second = await opened(directory)
    expect(second.tracker.hasUnallocatedBlocks).toBe(true)
    expect(await second.batch(1000)).toEqual(ids(0, 5))
    for (let i = 0; i < 5; i++) await second.hand.give('y')
    expect(await second.batch(2000)).toEqual(ids(5, 5))
    await second.ends()
    const third = await opened(directory)
    expect([await third.batch(1000), await third.batch(2000)]).toEqual([ids(0, 5), ids(5, 5)])
    const [oldest] = [...directory.files.keys()].sort()
    await third.tracker.release(2000)
    expect(await third.batch(1000)).toEqual([])
    await third.ends()
    const fourth = await opened(directory)
    expect([await fourth.batch(1000), await fourth.batch(2000)]).toEqual([[], ids(5, 5)])
    await fourth.tracker.release(2000)
    // Deleted once the next segment has begun, whose header says that it is not wanted.
    for (let i = 0; i < 20; i++) await fourth.hand.give('z'.repeat(200))
    expect([...directory.files.keys()], 'the oldest segment').not.toContain(oldest)
  })
})

/** A log that is opened in `directory`, and what it held. */
async function openLog(directory: FaultyDirectory, segmentBytes?: number) {
  const held: string[] = []
  const options = segmentBytes === undefined ? {} : { segmentBytes }
  const log = await WriteAheadLog.open(directory, ({ payload }) => held.push(payload.toString()), options)
  return { log, held }
}
const append = (log: WriteAheadLog, text: string) => log.append(1, [Buffer.from(text)])

describe('the write ahead log', () => {
  test('writeaheadlogsuite/read-all-logs', async () => {
    const directory = new FaultyDirectory()
    const expected: string[] = []
    for (let file = 1; file <= 10; file++) {
      const { log } = await openLog(directory)
      for (let record = 1; record <= 100; record++) {
        expected.push(`${file}/${record}`)
        void append(log, `${file}/${record}`)
      }
      await log.close()
    }
    const read: string[] = []
    await readLog(directory, ({ payload }) => read.push(payload.toString()))
    expect(read).toEqual(expected)
    expect(read).toHaveLength(1000)
  })

  test('writeaheadlogsuite/write-logs (segments are full by bytes, not by time)', async () => {
    const [, , records] = expectedOf('writeaheadlogsuite/write-logs')
    const directory = new FaultyDirectory()
    const { log } = await openLog(directory, 500)
    for (const text of records as string[]) await append(log, text)
    await log.close()
    expect(directory.files.size).toBeGreaterThan(1)
    expect((await openLog(directory)).held).toEqual(records)
  })

  test('writeaheadlogsuite/handles-errors-when-file-doesn-t-exist', async () => {
    const { expected } = vectorOf('writeaheadlogsuite/handles-errors-when-file-doesn-t-exist')
    const { held, log } = await openLog(new FaultyDirectory())
    expect([held]).toEqual(expected)
    await log.close()
  })

  test('writeaheadlogsuite/batchedwriteaheadlog-name-log-with-the-highest-timestamp-of-aggregated-entries (what waits goes out as one group)', async () => {
    const directory = new FaultyDirectory()
    const { log } = await openLog(directory)
    const groupsBefore = log.metrics.groups
    let open = (): void => {}
    directory.syncGate = new Promise((resolve) => {
      open = resolve
    })
    const first = append(log, '3')
    await settle()
    const waiting = ['5', '8', '12', '10'].map((text) => append(log, text))
    await settle()
    directory.syncGate = null
    open()
    await Promise.all([first, ...waiting])
    expect(log.metrics.groups - groupsBefore).toBe(2)
    await log.close()
    expect((await openLog(directory)).held).toEqual(['3', '5', '8', '12', '10'])
  })

  test('writeaheadlogsuite/batchedwriteaheadlog-shutdown-properly', async () => {
    const { log } = await openLog(new FaultyDirectory())
    await log.close()
    await expect(append(log, '12')).rejects.toMatchObject({ name: 'MillraceError' })
    await log.close()
  })

  test('receivedblockhandlersuite/writeaheadlogbasedblockhandler-clean-old-blocks', async () => {
    const directory = new FaultyDirectory()
    const { log } = await openLog(directory, 300)
    for (let i = 0; i < 10; i++) await append(log, 'x'.repeat(50))
    const before = directory.files.size
    expect(before).toBeGreaterThan(1)
    log.deleteBefore(log.segment)
    for (let i = 0; i < 10; i++) await append(log, 'y'.repeat(50))
    await log.close()
    const { held } = await openLog(directory)
    expect(held.filter((text) => text.startsWith('x')).length).toBeLessThan(10)
    expect(held.filter((text) => text.startsWith('y'))).toHaveLength(10)
  })
})
