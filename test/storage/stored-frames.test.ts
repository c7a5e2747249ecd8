/** Frames of stored bytes, read a frame at a time from a file or from memory. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { framesOf } from '../../dist/storage/record-frames.js'
import { SharedPool } from '../../dist/storage/shared-bytes.js'
import type { StoredBytes } from '../../dist/storage/stored-bytes.js'
import { framesIn } from '../../dist/storage/stored-frames.js'

/** Frames of many lengths: none of records, small ones, one longer than what is read at once. */
const runs = [[1, 2], ['x'.repeat(3 << 20)], Array.from({ length: 100_000 }, (_, n) => [`key ${n}`, n]), [undefined]]
const bytes = Buffer.concat(runs.flatMap((records) => framesOf(records)))

function inFile(content: Uint8Array, offset: number, length: number): StoredBytes {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-frames-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'run')
  writeFileSync(path, content)
  return { type: 'file', path, offset, length }
}

test('frames come in order, whether they lie in shared memory or anywhere in a file', () => {
  const before = Buffer.from('something else')
  const file = inFile(Buffer.concat([before, bytes, before]), before.length, bytes.length)
  const shared: StoredBytes = { type: 'shared', ...new SharedPool().write([bytes]) }
  for (const stored of [file, shared]) expect([...framesIn(stored)].flat()).toEqual(runs.flat())
})

test('whoever stops halfway has read no more than was asked for', () => {
  const [first] = framesIn(inFile(bytes, 0, bytes.length))
  expect(first).toEqual([1, 2])
})

test.each([3, 5, bytes.length - 1])('a file that ends after %i bytes is an error, not an end', (length) => {
  expect(() => [...framesIn(inFile(bytes, 0, length))]).toThrow(expect.objectContaining({ code: 'CHECKPOINT_INVALID' }))
})

test('a file that is gone is a block that is not there', () => {
  const gone: StoredBytes = { type: 'file', path: '/nowhere/at/all', offset: 0, length: 10 }
  expect(() => [...framesIn(gone)]).toThrow(expect.objectContaining({ code: 'BLOCK_NOT_FOUND' }))
})
