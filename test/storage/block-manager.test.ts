/** What is kept, what goes to disk and what goes away when partitions take more memory than they may. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StorageLevel } from 'millrace'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type BlockContent, BlockManager, partitionBlockId } from '../../src/storage/block-manager.js'
import { recordsOf } from '../../src/storage/record-frames.js'
import { SpillDirectory } from '../../src/storage/spill-directory.js'
import { readStored } from '../../src/storage/stored-bytes.js'

let path = ''
let dropped: BlockContent[] = []
let blocks: BlockManager

/** About a kilobyte. */
const partition = Array.from({ length: 10 }, (_, n) => `${n}`.padEnd(84, '.'))

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'millrace-blocks-'))
  dropped = []
  const spill = new SpillDirectory(join(path, 'spill'))
  blocks = new BlockManager({ memoryBytes: 2500, spill, onDropped: (content) => dropped.push(content) })
})

afterEach(() => rmSync(path, { recursive: true, force: true }))

function keep(rddId: number, level: StorageLevel, at = 0): void {
  blocks.keep(rddId, at, { type: 'records', records: partition }, level)
}

async function read(rddId: number, at = 0): Promise<{ where: string; records: readonly unknown[] } | null> {
  const content = blocks.get(partitionBlockId(rddId, at))
  if (content === null) return null
  if (content.type === 'records') return { where: 'memory', records: content.records }
  if (content.type !== 'stored') throw new Error(`Unexpected ${content.type}`)
  return { where: content.stored.type, records: recordsOf(await readStored(content.stored)) }
}

test('beyond the bound, the partition used longest ago goes to disk when its level has disk', async () => {
  for (const rdd of [1, 2]) keep(rdd, StorageLevel.MEMORY_AND_DISK)
  await read(1)
  keep(3, StorageLevel.MEMORY_AND_DISK)
  await blocks.settled()
  expect(await read(2)).toEqual({ where: 'file', records: partition })
  expect(await read(1)).toEqual({ where: 'memory', records: partition })
  expect(await read(3)).toEqual({ where: 'memory', records: partition })
  expect(blocks.memoryUsed).toBeLessThanOrEqual(2500)
})

test('a partition that may lie in memory only is given up, to be computed again', async () => {
  for (const rdd of [1, 2, 3]) keep(rdd, StorageLevel.MEMORY_ONLY)
  expect(await read(1)).toBeNull()
  expect(await read(3)).toEqual({ where: 'memory', records: partition })
  expect(readdirSync(path)).toEqual([])
})

test('a partition that nobody can compute again goes to disk whatever its level', async () => {
  blocks.pin(1)
  for (const rdd of [1, 2, 3]) keep(rdd, StorageLevel.MEMORY_ONLY)
  await blocks.settled()
  expect(await read(1)).toEqual({ where: 'file', records: partition })
})

test('an RDD does not push out its own partitions: what does not fit is not kept', async () => {
  for (const at of [0, 1, 2]) keep(1, StorageLevel.MEMORY_ONLY, at)
  expect(await read(1, 0)).not.toBeNull()
  expect(await read(1, 1)).not.toBeNull()
  expect(await read(1, 2)).toBeNull()
})

test('DISK_ONLY takes no memory, NONE keeps nothing', async () => {
  keep(1, StorageLevel.DISK_ONLY)
  keep(2, StorageLevel.NONE)
  await blocks.settled()
  expect(await read(1)).toEqual({ where: 'file', records: partition })
  expect(await read(2)).toBeNull()
  expect(blocks.memoryUsed).toBe(0)
})

test('received input is never evicted', async () => {
  blocks.put('input-0-0', { type: 'records', records: partition })
  for (const rdd of [1, 2, 3, 4]) keep(rdd, StorageLevel.MEMORY_ONLY)
  expect(blocks.get('input-0-0')).toEqual({ type: 'records', records: partition })
})

test('forgetting an RDD drops its partitions, in memory and on disk', async () => {
  for (const rdd of [1, 11, 2]) keep(rdd, StorageLevel.MEMORY_AND_DISK)
  await blocks.settled()
  dropped = []
  blocks.removeRdd(1)
  expect(dropped).toMatchObject([{ type: 'stored', stored: { type: 'file' } }])
  expect(await read(11)).not.toBeNull()
})

test('records that have no bytes stay in memory when they should go to disk', async () => {
  class Unstorable {
    readonly text = '.'.repeat(3000)
  }
  const warnings: string[] = []
  const onWarning = (warning: Error): number => warnings.push(warning.message)
  process.on('warning', onWarning)
  try {
    blocks.keep(1, 0, { type: 'records', records: [new Unstorable()] }, StorageLevel.MEMORY_AND_DISK)
    await blocks.settled()
    await new Promise((resolve) => setImmediate(resolve))
    expect(await read(1)).toMatchObject({ where: 'memory' })
    expect(warnings.join()).toMatch(/stays in memory.*Unstorable/)
  } finally {
    process.off('warning', onWarning)
  }
})
