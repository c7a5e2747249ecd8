/**
 * A block of a receiver as Spark keeps it. The first byte says what it holds:
 *
 *   0  parts of bytes that the receiver reads back itself, each behind its length (four bytes)
 *   1  records, serialized
 */
import { MillraceError } from '../../errors.js'
import type { Receiver } from '../../receiver/receiver.js'
import { deserializeRecords, serializeRecords } from '../../storage/record-serializer.js'
import type { Chunks } from '../task-runner.js'

const Kind = { BYTES: 0, RECORDS: 1 } as const

/** The block of parts that a receiver stored as bytes. */
export function bytesBlock(parts: readonly Uint8Array[]): Buffer {
  const size = parts.reduce((sum, part) => sum + 4 + part.byteLength, 1)
  const block = Buffer.allocUnsafe(size)
  let at = block.writeUInt8(Kind.BYTES, 0)
  for (const part of parts) {
    at = block.writeInt32BE(part.byteLength, at)
    block.set(part, at)
    at += part.byteLength
  }
  return block
}

/** The block of records. */
export function recordsBlock(records: readonly unknown[]): Buffer {
  return Buffer.concat([Buffer.of(Kind.RECORDS), serializeRecords(records)])
}

/** The records of a block; `receiver` is the one of its stream, which decodes its own bytes. */
export function* readReceivedBlock(
  block: Buffer,
  receiver: Receiver<unknown> | undefined,
): Generator<readonly unknown[]> {
  if (block[0] === Kind.RECORDS) {
    yield deserializeRecords(block.subarray(1))
    return
  }
  if (receiver === undefined) throw new MillraceError('INTERNAL', 'No receiver can read blocks of this stream.')
  for (let at = 1; at < block.length; ) {
    const length = block.readInt32BE(at)
    yield* receiver.readBlock(block.subarray(at + 4, at + 4 + length)) as Chunks
    at += 4 + length
  }
}
