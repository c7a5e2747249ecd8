/** Bytes a thread can reach without asking another one: in shared memory, or in a file. Plain data that crosses threads. */
import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { MillraceError } from '../errors.js'
import { type SharedBytes, sharedView } from './shared-bytes.js'

export type StoredBytes =
  | ({ readonly type: 'shared' } & SharedBytes)
  | { readonly type: 'file'; readonly path: string; readonly offset: number; readonly length: number }

/** The bytes, read from the file if they are there. Rejects with `BLOCK_NOT_FOUND` when the file cannot be read. */
export async function readStored(stored: StoredBytes): Promise<Uint8Array> {
  if (stored.type === 'shared') return sharedView(stored)
  const { path, offset, length } = stored
  try {
    const file = await open(path, 'r')
    try {
      const bytes = Buffer.allocUnsafeSlow(length)
      const { bytesRead } = await file.read(bytes, 0, length, offset)
      if (bytesRead < length) throw new Error(`${bytesRead} bytes are there of ${length}.`)
      return bytes
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

/** As `readStored`, at once: for a thread that has nothing else to do. */
export function readStoredSync(stored: StoredBytes): Uint8Array {
  if (stored.type === 'shared') return sharedView(stored)
  const { path, offset, length } = stored
  try {
    const file = openSync(path, 'r')
    try {
      const bytes = Buffer.allocUnsafeSlow(length)
      const read = readSync(file, bytes, 0, length, offset)
      if (read < length) throw new Error(`${read} bytes are there of ${length}.`)
      return bytes
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

/** Removes the file of stored bytes, if they are in one. */
export function removeStored(stored: StoredBytes): void {
  if (stored.type === 'file') rmSync(stored.path, { force: true })
}

function unreadable(path: string, cause: unknown): MillraceError {
  return new MillraceError('BLOCK_NOT_FOUND', `Spilled data in ${path} cannot be read back.`, {
    cause,
    details: { path },
  })
}

/** A part of stored bytes. */
export function sliceStored(stored: StoredBytes, from: number, to: number): StoredBytes {
  return { ...stored, offset: stored.offset + from, length: to - from }
}
