/**
 * What RDDs reach outside the process, on this machine: its files and its commands. A path counts from where the driver works, and is
 * whole from then on: tasks may run in processes that work elsewhere.
 */
import { resolve } from 'node:path'
import type { FileSplit, OutsideAccess } from '../rdd/outside-access.js'
import { filesInDirectories, listFiles } from './file-listing.js'
import { isCompressed, readLines, readObjects, readRecords, readWholeBytes, readWholeText } from './file-reading.js'
import { abortOutput, beginOutput, commitOutput, writeObjects, writeText } from './file-writing.js'
import { pipeThrough } from './pipe-command.js'

/** No part is larger: Hadoop's block size on a local disk. */
const partBytesMax = 32 << 20
/** The last part may be larger by so much, rather than leaving a crumb. */
const slop = 1.1

export const localAccess: OutsideAccess = {
  files: (path) => listFiles(path).map(({ path: file, bytes }) => ({ path: resolve(file), start: 0, end: bytes })),
  directoryFiles: filesInDirectories,
  splits(path, minParts) {
    const files = listFiles(path).map((file) => ({ ...file, path: resolve(file.path) }))
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
    const partBytes = Math.max(1, Math.min(Math.floor(total / Math.max(minParts, 1)), partBytesMax))
    return files.flatMap(({ path: file, bytes }) =>
      isCompressed(file) || bytes === 0 ? [{ path: file, start: 0, end: bytes }] : partsOf(file, bytes, partBytes),
    )
  },
  readLines,
  readWholeText,
  readWholeBytes,
  readRecords,
  readObjects,
  writeText,
  writeObjects,
  beginOutput: (path, mayReplace) => beginOutput(resolve(path), mayReplace),
  commitOutput: (temporary, path) => commitOutput(temporary, resolve(path)),
  abortOutput,
  pipe: pipeThrough,
}

function partsOf(path: string, bytes: number, partBytes: number): FileSplit[] {
  const parts: FileSplit[] = []
  let start = 0
  while ((bytes - start) / partBytes > slop) {
    parts.push({ path, start, end: start + partBytes })
    start += partBytes
  }
  if (start < bytes) parts.push({ path, start, end: bytes })
  return parts
}
