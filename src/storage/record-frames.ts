/**
 * Records as a run of frames, each a length and some thousand serialized records: written as they come, read back a frame at a
 * time, so neither side ever holds all of them twice.
 */
import { deserializeRecords, serializeRecords } from './record-serializer.js'

const headBytes = 4
/** Records a frame holds at most. */
export const frameRecordsMax = 8192

/** The records as frames, to be written one after another. */
export function framesOf(records: readonly unknown[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let from = 0; from < records.length; from += frameRecordsMax) {
    const part = records.length <= frameRecordsMax ? records : records.slice(from, from + frameRecordsMax)
    const bytes = serializeRecords(part)
    const head = Buffer.allocUnsafe(headBytes)
    head.writeUInt32LE(bytes.byteLength)
    parts.push(head, bytes)
  }
  return parts
}

/** The records of a run of frames, a frame at a time. */
export function* readFrames(bytes: Uint8Array): Generator<unknown[]> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let offset = 0; offset < view.byteLength; ) {
    const start = offset + headBytes
    const end = start + view.readUInt32LE(offset)
    yield deserializeRecords(view.subarray(start, end))
    offset = end
  }
}

/** All records of a run of frames. */
export function recordsOf(bytes: Uint8Array): unknown[] {
  const records: unknown[] = []
  for (const frame of readFrames(bytes)) for (let i = 0; i < frame.length; i++) records.push(frame[i])
  return records
}
