/** Reads a kept partition back from its bytes. */
import { overlaid, statesIn } from '../../dstream/state-partition-layers.js'
import { readFrames } from '../../storage/record-frames.js'
import { readStored, type StoredBytes } from '../../storage/stored-bytes.js'

/**
 * The records of all parts, a frame at a time; states come whole, with their changes laid over them. Rejects with
 * `BLOCK_NOT_FOUND` when a file is gone.
 */
export async function readKept(parts: readonly StoredBytes[]): Promise<Iterable<readonly unknown[]>> {
  const read: Uint8Array[] = []
  for (const part of parts) read.push(await readStored(part))
  const frames = framesIn(read)
  const first = frames.next()
  if (first.done) return [[]]
  if (statesIn(first.value) !== null) return [overlaid([first.value, ...frames].flat())]
  return (function* (): Generator<readonly unknown[]> {
    yield first.value
    yield* frames
  })()
}

/** As `readKept`, all in one array. */
export async function readKeptRecords(parts: readonly StoredBytes[]): Promise<readonly unknown[]> {
  const records: unknown[] = []
  for (const frame of await readKept(parts)) for (let i = 0; i < frame.length; i++) records.push(frame[i])
  return records
}

function* framesIn(parts: readonly Uint8Array[]): Generator<unknown[]> {
  for (const part of parts) yield* readFrames(part)
}
