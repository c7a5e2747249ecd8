/** Files as records: what tasks do with the parts of files they are given. */
import { isAscii } from 'node:buffer'
import { closeSync, openSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { MillraceError } from '../errors.js'
import { ChunkedRecords } from '../rdd/chunked-records.js'
import type { FileSplit } from '../rdd/outside-access.js'
import { type LibraryFunction, libraryFunction } from '../rdd/task-function.js'
import { deserializeRecords } from './record-serializer.js'

const unzip = promisify(gunzip)
const newline = 10
const carriageReturn = 13
const chunkBytes = 1 << 18

/** True for files that must be read from their beginning. */
export function isCompressed(path: string): boolean {
  return path.endsWith('.gz')
}

/** A whole file, decompressed if its name says that it is compressed. */
async function contentOf(path: string): Promise<Buffer> {
  const bytes = await readFile(path)
  return isCompressed(path) ? unzip(bytes) : bytes
}

/** The lines that begin in the part, some thousand at a time. They end at \n or \r\n; the last one may lack it. */
function* linesOf({ path, start, end }: FileSplit): Generator<string[], void> {
  const file = openSync(path, 'r')
  try {
    // One buffer, read into again and again: memory that is touched for the first time costs more than reading does.
    let buffer = Buffer.allocUnsafe(chunkBytes)
    // From one byte before: a line that begins exactly at the start is this part's, and only then is that byte a newline.
    let position = Math.max(start - 1, 0)
    let skips = start > 0
    // Bytes at the front of the buffer that belong to a line whose end has not been read.
    let rest = 0
    while (position - rest < end || skips) {
      if (rest === buffer.length) buffer = Buffer.concat([buffer], 2 * rest)
      const read = readSync(file, buffer, rest, buffer.length - rest, position)
      if (read === 0) break
      position += read
      const bytes = buffer.subarray(0, rest + read)
      const bytesAt = position - bytes.length
      // The same text, decoded in half the time.
      const encoding = isAscii(bytes) ? 'latin1' : 'utf8'
      let from = 0
      rest = bytes.length
      if (skips) {
        const first = bytes.indexOf(newline)
        if (first < 0) {
          if (position > end) return
          rest = 0
          continue
        }
        from = first + 1
        skips = false
      }
      const lines: string[] = []
      for (let to = bytes.indexOf(newline, from); to >= 0; to = bytes.indexOf(newline, from)) {
        if (bytesAt + from >= end) {
          yield lines
          return
        }
        lines.push(text(bytes, encoding, from, to))
        from = to + 1
      }
      yield lines
      rest = bytes.length - from
      buffer.copyWithin(0, from, bytes.length)
    }
    if (!skips && rest > 0 && position - rest < end) yield [text(buffer, 'utf8', 0, rest)]
  } finally {
    closeSync(file)
  }
}

function text(bytes: Buffer, encoding: 'latin1' | 'utf8', from: number, to: number): string {
  return bytes.toString(encoding, from, to > from && bytes[to - 1] === carriageReturn ? to - 1 : to)
}

/** The lines of text that ends, or does not, with a newline. */
export function splitLines(content: string): string[] {
  const lines = content.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

export const readLines: () => LibraryFunction = libraryFunction(
  'readLines',
  () => async (splits: Iterable<FileSplit>) => {
    const parts: Iterable<readonly string[]>[] = []
    for (const split of splits) {
      const { path } = split
      parts.push(isCompressed(path) ? [splitLines((await contentOf(path)).toString('utf8'))] : linesOf(split))
    }
    return new ChunkedRecords(inTurn(parts))
  },
)

function* inTurn<T>(parts: readonly Iterable<T>[]): Generator<T, void> {
  for (const part of parts) yield* part
}

export const readWholeText: () => LibraryFunction = libraryFunction(
  'readWholeText',
  () => async (splits: Iterable<FileSplit>) => {
    const files: [string, string][] = []
    for (const { path } of splits) files.push([path, (await contentOf(path)).toString('utf8')])
    return files
  },
)

export const readWholeBytes: () => LibraryFunction = libraryFunction(
  'readWholeBytes',
  () => async (splits: Iterable<FileSplit>) => {
    const files: [string, Uint8Array][] = []
    for (const { path } of splits) files.push([path, await readFile(path)])
    return files
  },
)

export const readRecords: (recordLength: number) => LibraryFunction = libraryFunction(
  'readRecords',
  (recordLength: number) => async (splits: Iterable<FileSplit>) => {
    const records: Uint8Array[] = []
    for (const { path } of splits) {
      const bytes = await contentOf(path)
      if (bytes.length % recordLength !== 0) {
        throw new MillraceError(
          'ILLEGAL_ARGUMENT',
          `${path} has ${bytes.length} bytes, which is no multiple of the record length of ${recordLength}.`,
          { details: { path, bytes: bytes.length, recordLength } },
        )
      }
      for (let at = 0; at < bytes.length; at += recordLength) records.push(bytes.subarray(at, at + recordLength))
    }
    return records
  },
)

export const readObjects: () => LibraryFunction = libraryFunction(
  'readObjects',
  () => async (splits: Iterable<FileSplit>) => {
    const records: unknown[] = []
    for (const { path } of splits) {
      const bytes = await readFile(path)
      for (let at = 0; at < bytes.length; ) {
        const length = bytes.readUInt32LE(at)
        for (const record of deserializeRecords(bytes.subarray(at + 4, at + 4 + length))) records.push(record)
        at += 4 + length
      }
    }
    return records
  },
)
