/**
 * A block of a receiver as Spark keeps it. The first byte says what it holds:
 *
 *   0  how many blocks before this one the source may send again, too (four bytes); then parts of bytes that the receiver reads
 *      back itself, each behind its length (four bytes)
 *   1  records, serialized
 */
import { MillraceError } from '../../errors.js'
import type { Receiver } from '../../receiver/receiver.js'
import { deserializeRecords, serializeRecords } from '../../storage/record-serializer.js'
import type { Chunks } from '../task-runner.js'

const Kind = { BYTES: 0, RECORDS: 1 } as const

/** Where the parts of a block of bytes begin. */
const PARTS_AT = 5

/** The block of parts that a receiver stored as bytes. The source may send them again, and `tail` blocks before it. */
export function bytesBlock(parts: readonly Uint8Array[], tail: number): Buffer {
  const size = parts.reduce((sum, part) => sum + 4 + part.byteLength, PARTS_AT)
  const block = Buffer.allocUnsafe(size)
  block.writeUInt8(Kind.BYTES, 0)
  let at = block.writeInt32BE(tail, 1)
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
  for (const part of partsOf(block)) yield* receiver.readBlock(part) as Chunks
}

/** The parts of a block of bytes, as the receiver stored them; none of a block of records. */
export function* partsOf(block: Buffer): Generator<Buffer> {
  if (block[0] !== Kind.BYTES) return
  for (let at = PARTS_AT; at < block.length; ) {
    const length = block.readInt32BE(at)
    yield block.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}
