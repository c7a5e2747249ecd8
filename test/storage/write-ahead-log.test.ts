import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openDirectory } from '../../src/storage/directory-handle.js'
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../src/storage/log-format.js'
import { type LogPosition, readLog } from '../../src/storage/log-reader.js'
import { type LogOptions, WriteAheadLog } from '../../src/storage/write-ahead-log.js'
import { FaultyDirectory } from './faulty-directory.js'

const runs = Math.ceil(100 * Number(process.env.MILLRACE_BUDGET ?? 1))

/** Opens the log and the texts it held. */
async function open(directory: FaultyDirectory, options: LogOptions = {}) {
  const texts: string[] = []
  const log = await WriteAheadLog.open(directory, ({ payload }) => texts.push(payload.toString()), options)
  return { log, texts }
}

async function texts(directory: FaultyDirectory): Promise<string[]> {
  const found: string[] = []
  await readLog(directory, ({ payload }) => found.push(payload.toString()))
  return found
}

const append = (log: WriteAheadLog, text: string): Promise<LogPosition> => log.append(1, [Buffer.from(text)])
const newest = (directory: FaultyDirectory): string => [...directory.files.keys()].sort().at(-1)!

describe('a write ahead log', () => {
  it('gives back every record in order, over several openings', async () => {
    const directory = new FaultyDirectory()
    const first = await open(directory)
    await Promise.all(['a', 'b', ''].map((text) => append(first.log, text)))
    await first.log.close()
    const second = await open(directory)
    expect(second.texts).toEqual(['a', 'b', ''])
    await append(second.log, 'c')
    await second.log.close()
    expect(await texts(directory)).toEqual(['a', 'b', '', 'c'])
  })

  it('keeps type and bytes of records made of several chunks', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    const position = await log.append(7, [Buffer.from([1, 2]), Buffer.alloc(0), Buffer.from([3])])
    expect([...(await log.read(position))]).toEqual([1, 2, 3])
    await log.close()
    const seen: unknown[] = []
    await readLog(directory, (record) => seen.push([record.type, [...record.payload], record.position]))
    expect(seen).toEqual([[7, [1, 2, 3], position]])
  })

  it('puts everything appended during one sync into the next one', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    const before = log.metrics
    let openGate = (): void => {}
    directory.syncGate = new Promise((resolve) => (openGate = resolve))
    const first = append(log, 'first')
    await new Promise((resolve) => setImmediate(resolve))
    const rest = Array.from({ length: 100 }, (_, i) => append(log, String(i)))
    directory.syncGate = null
    openGate()
    await Promise.all([first, ...rest])
    expect(log.metrics.groups - before.groups).toBe(2)
    expect(log.metrics.syncs - before.syncs).toBe(2)
    await log.close()
  })

  it('does not resolve an append before its record is synced', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    let openGate = (): void => {}
    directory.syncGate = new Promise((resolve) => (openGate = resolve))
    let isDone = false
    const appended = append(log, 'x').then(() => (isDone = true))
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(isDone).toBe(false)
    openGate()
    await appended
    directory.cutPower()
    expect(await texts(directory)).toEqual(['x'])
  })

  it('begins a new segment when one is full and deletes those no longer wanted', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory, { segmentBytes: 200 })
    const positions: LogPosition[] = []
    for (let i = 0; i < 30; i++) positions.push(await append(log, `record ${i}`))
    expect(log.segment).toBeGreaterThan(3)
    const kept = positions[15]!.segment
    log.deleteBefore(kept)
    while (log.segment === positions.at(-1)!.segment) await append(log, 'more')
    const left = await texts(directory)
    const firstKept = positions.findIndex(({ segment }) => segment === kept)
    expect(left[0]).toBe(`record ${firstKept}`)
    await expect(log.read(positions[0]!)).rejects.toMatchObject({ code: 'BLOCK_NOT_FOUND' })
    expect((await log.read(positions[20]!)).toString()).toBe('record 20')
    await log.close()
  })

  it('deletes the segments of many short lives, though none of them filled its own', async () => {
    const directory = new FaultyDirectory()
    for (let life = 0; life < 30; life++) {
      const { log } = await open(directory)
      await append(log, `life ${life}`)
      log.deleteBefore(log.segment)
      await append(log, 'more')
      await log.close()
    }
    expect(directory.files.size).toBeLessThan(20)
    expect((await texts(directory)).slice(-2)).toEqual(['life 29', 'more'])
  })

  it('finishes a deletion that a power failure interrupted', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory, { segmentBytes: 100 })
    for (let i = 0; i < 20; i++) await append(log, `record ${i}`)
    const names = [...directory.files.keys()].sort()
    log.deleteBefore(log.segment)
    directory.fault = (operation, name) => (operation === 'remove' && name === names[2] ? 'EIO' : null)
    await append(log, 'last one')
    await append(log, 'last two')
    directory.fault = () => null
    // Segment 1 is gone, some later one is still there: neither its records nor the gap may be seen.
    const again = await open(directory, { segmentBytes: 100 })
    expect(again.texts.at(-1)).toBe('last two')
    expect(again.texts.length).toBeLessThan(5)
    await again.log.close()
  })

  it('refuses appends after close and closes twice without harm', async () => {
    const { log } = await open(new FaultyDirectory())
    const last = append(log, 'last')
    await log.close()
    await last
    await log.close()
    await expect(append(log, 'late')).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
  })

  it('syncs by interval without holding up appends, and at close', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory, { sync: { intervalMs: 1 } })
    await append(log, 'x')
    while (log.metrics.syncs === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    directory.cutPower()
    expect(await texts(directory)).toEqual(['x'])
    await log.close()
  })
})

describe('a damaged log', () => {
  async function written(count: number): Promise<{ directory: FaultyDirectory; positions: LogPosition[] }> {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    const positions: LogPosition[] = []
    for (let i = 0; i < count; i++) positions.push(await append(log, `record ${i}`))
    await log.close()
    return { directory, positions }
  }

  it('ends quietly wherever its newest segment is cut off', async () => {
    const { directory, positions } = await written(3)
    const whole = directory.files.get(newest(directory))!.bytes
    for (let length = 0; length <= whole.length; length++) {
      const cut = new FaultyDirectory()
      const bytes = Buffer.from(whole.subarray(0, length))
      cut.files.set(newest(directory), { bytes, synced: bytes })
      const expected = positions.filter(({ offset, payloadBytes }) => offset + 24 + payloadBytes <= length)
      const again = await open(cut)
      expect(again.texts).toEqual(expected.map((_, i) => `record ${i}`))
      await append(again.log, 'next')
      await again.log.close()
      expect((await texts(cut)).at(-1)).toBe('next')
    }
  })

  it('says which bit of a synced record was changed', async () => {
    const { directory, positions } = await written(3)
    const name = newest(directory)
    for (let offset = SEGMENT_HEADER_BYTES; offset < positions[2]!.offset; offset++) {
      const isPadding = positions.every((p) => offset < p.offset || offset >= p.offset + 24 + p.payloadBytes)
      directory.flipBit(name, offset)
      if (isPadding) expect(await texts(directory)).toHaveLength(3)
      else await expect(texts(directory)).rejects.toMatchObject({ code: 'LOG_CORRUPT', details: { file: name } })
      directory.flipBit(name, offset)
    }
  })

  it('says when a changed bit lies in an older segment', async () => {
    const { directory, positions } = await written(2)
    const name = newest(directory)
    const { log } = await open(directory)
    await log.close()
    directory.flipBit(name, positions[1]!.offset + 24)
    await expect(texts(directory)).rejects.toMatchObject({
      code: 'LOG_CORRUPT',
      details: { file: name, offset: positions[1]!.offset },
    })
  })

  it('says when the header of an older segment is damaged', async () => {
    const { directory } = await written(2)
    const name = newest(directory)
    const { log } = await open(directory)
    await log.close()
    directory.flipBit(name, 20)
    await expect(texts(directory)).rejects.toMatchObject({ code: 'LOG_CORRUPT', details: { file: name } })
  })

  it('says when the header of the newest segment is damaged and records follow it', async () => {
    const { directory } = await written(2)
    const name = newest(directory)
    for (const offset of [0, 8, 20, 63]) {
      directory.flipBit(name, offset)
      await expect(texts(directory)).rejects.toMatchObject({ code: 'LOG_CORRUPT', details: { file: name } })
      directory.flipBit(name, offset)
    }
  })

  it('says which segment is missing', async () => {
    for (const index of [0, 1, 2]) {
      const directory = new FaultyDirectory()
      const { log } = await open(directory, { segmentBytes: 100 })
      for (let i = 0; i < 10; i++) await append(log, `record ${i}`)
      await log.close()
      const names = [...directory.files.keys()].sort()
      directory.files.delete(names[index]!)
      await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_CORRUPT', details: { file: names[index] } })
    }
  })

  it('says when another version wrote it', async () => {
    const { directory } = await written(1)
    const file = directory.files.get(newest(directory))!
    // A header of version 2 with a right checksum.
    const { crc32 } = await import('node:zlib')
    file.bytes.writeUInt32LE(2, 8)
    file.bytes.writeUInt32LE(crc32(file.bytes.subarray(0, 60)), 60)
    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_VERSION' })
  })

  it('says when a segment was copied under another number', async () => {
    const directory = new FaultyDirectory()
    const header = {
      segment: 5,
      previousLength: 0,
      previousIsSynced: true,
      oldest: 1,
      firstRecord: 0,
      createdMs: 0,
      salt: 1,
    }
    const bytes = encodeSegmentHeader(header)
    directory.files.set('log-0000000001.mlog', { bytes, synced: bytes })
    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_CORRUPT' })
  })

  it('does not take a record that somebody sent inside a message for one of its own', async () => {
    const source = await written(2)
    const bytes = source.directory.files.get(newest(source.directory))!.bytes
    // The second record claims that everything before it was synced; sent as a payload it must not turn a torn tail into damage.
    const forged = bytes.subarray(source.positions[1]!.offset)
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    const { offset } = await log.append(1, [forged])
    await log.close()
    const file = directory.files.get(newest(directory))!
    file.bytes.fill(0, offset, offset + 24)
    expect(await texts(directory)).toEqual([])
  })
})

describe('a log whose disk fails', () => {
  for (const code of ['ENOSPC', 'EROFS', 'EACCES']) {
    it(`rejects appends while writes fail with ${code}, keeps what it had, and goes on afterwards`, async () => {
      const directory = new FaultyDirectory()
      const { log } = await open(directory)
      await append(log, 'before')
      directory.fault = (operation) => (operation === 'write' || operation === 'create' ? code : null)
      await expect(append(log, 'lost')).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED', details: { reason: code } })
      await expect(append(log, 'lost')).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' })
      directory.fault = () => null
      await append(log, 'after')
      await log.close()
      expect(await texts(directory)).toEqual(['before', 'after'])
    })
  }

  it('leaves nothing of a group that was written in part', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    directory.free = 100
    directory.writeLimit = 30
    await append(log, 'fits')
    const [whole, tooMuch] = await Promise.allSettled([append(log, 'half'), append(log, 'x'.repeat(100))])
    expect([whole!.status, tooMuch!.status]).toEqual(['rejected', 'rejected'])
    directory.free = 10_000
    await append(log, 'after')
    await log.close()
    expect(await texts(directory)).toEqual(['fits', 'after'])
  })

  it('leaves nothing of it when even the truncate fails: the next segment says where this one ends', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    await append(log, 'before')
    directory.fault = (operation) => (operation === 'truncate' ? 'EROFS' : null)
    directory.free = 70
    await expect(Promise.all([append(log, 'half'), append(log, 'x'.repeat(100))])).rejects.toThrow()
    directory.free = 10_000
    await append(log, 'after')
    await log.close()
    expect(await texts(directory)).toEqual(['before', 'after'])
  })

  it('does not trust a segment after a failed sync', async () => {
    const directory = new FaultyDirectory()
    const { log } = await open(directory)
    await append(log, 'before')
    const { segment } = log
    directory.fault = (operation) => (operation === 'sync' ? 'EIO' : null)
    await expect(append(log, 'unsure')).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' })
    directory.fault = () => null
    await append(log, 'after')
    expect(log.segment).toBe(segment + 1)
    await log.close()
    expect(await texts(directory)).toEqual(['before', 'after'])
  })

  it('refuses what comes when its files have been deleted: a write to them succeeds, and is gone with the process', async () => {
    const path = await mkdtemp(join(tmpdir(), 'millrace-log-'))
    const log = await WriteAheadLog.open(await openDirectory(path), () => {})
    await rm(path, { recursive: true })
    for (const text of ['a', 'b']) {
      await expect(append(log, text)).rejects.toMatchObject({
        code: 'LOG_WRITE_FAILED',
        message: expect.stringContaining('its files have been deleted'),
        details: { reason: 'ENOENT' },
      })
    }
    await log.close()
  })

  it('writes everything though the system takes a few bytes at a time', async () => {
    const directory = new FaultyDirectory()
    directory.writeLimit = 3
    const { log } = await open(directory)
    await Promise.all(['one', 'two', 'three'].map((text) => append(log, text)))
    await log.close()
    expect(await texts(directory)).toEqual(['one', 'two', 'three'])
  })

  it('keeps every acknowledged record, in order, whatever a power failure leaves of the rest', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ type: fc.constant('append' as const), count: fc.integer({ min: 1, max: 4 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ type: fc.constant('cut' as const), pages: fc.array(fc.boolean(), { maxLength: 8 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('fail' as const),
          operation: fc.constantFrom('write', 'sync', 'truncate'),
        }),
      },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.integer({ min: 80, max: 2000 }),
        async (steps, segmentBytes) => {
          const directory = new FaultyDirectory()
          let { log } = await open(directory, { segmentBytes })
          const acknowledged: string[] = []
          let rejected = new Set<string>()
          let number = 0
          for (const step of steps) {
            if (step.type === 'append') {
              const names = Array.from({ length: step.count }, () => `${number++}:${'x'.repeat((number * 37) % 600)}`)
              const results = await Promise.allSettled(names.map((name) => append(log, name)))
              results.forEach((result, i) => {
                if (result.status === 'fulfilled') acknowledged.push(names[i]!)
                else rejected.add(names[i]!)
              })
              directory.fault = () => null
            } else if (step.type === 'fail') {
              directory.fault = (operation) => (operation === step.operation ? 'EIO' : null)
            } else {
              directory.fault = () => null
              // An append is under way when the power goes: its record may be there afterwards or not.
              const unfinished = append(log, `unfinished ${number++}`).catch(() => {})
              await null
              directory.cutPower((page) => step.pages[page % Math.max(step.pages.length, 1)] ?? false)
              const again = await open(directory, { segmentBytes })
              expect(again.texts.filter((text) => !text.startsWith('unfinished'))).toEqual(acknowledged)
              await unfinished
              log = again.log
              rejected = new Set()
            }
          }
          await log.close()
          const left = await texts(directory)
          expect(left.filter((text) => !text.startsWith('unfinished'))).toEqual(acknowledged)
          expect(left.some((text) => rejected.has(text))).toBe(false)
        },
      ),
      { numRuns: runs },
    )
  })
})

it('works on the file system of the machine', async () => {
  const path = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  try {
    const directory = await openDirectory(join(path, 'a', 'log'))
    const log = await WriteAheadLog.open(directory, () => {}, { segmentBytes: 4096 })
    const positions = await Promise.all(Array.from({ length: 2000 }, (_, i) => append(log, `record ${i}`)))
    expect((await log.read(positions[1234]!)).toString()).toBe('record 1234')
    await log.close()
    const found: string[] = []
    const again = await WriteAheadLog.open(directory, ({ payload }) => found.push(payload.toString()))
    expect(found).toEqual(positions.map((_, i) => `record ${i}`))
    await again.close()
  } finally {
    await rm(path, { recursive: true })
  }
})
