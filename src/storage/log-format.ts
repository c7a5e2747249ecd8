/** The bytes of a write ahead log: the constants and the two headers that its writer and its reader share. `docs/log-format.md` explains them. */
import { crc32 } from 'node:zlib'
import { MillraceError } from '../errors.js'

/** First eight bytes of every segment. The carriage return and the end-of-file mark catch a copy made in text mode. */
export const SEGMENT_MAGIC: Buffer = Buffer.from('MLRLOG\r\x1a', 'latin1')
/** The version this code writes, and the only one it reads. */
export const LOG_VERSION = 1
export const SEGMENT_HEADER_BYTES = 64
/** First four bytes of every record, `MREC`, so that a reader finds the next record behind a damaged one. */
export const RECORD_MAGIC = 0x4345524d
export const RECORD_HEADER_BYTES = 24
/** Records begin at multiples of this. */
export const RECORD_ALIGNMENT = 8
/** A record may be this long at most: a length above it is damage. */
export const MAX_RECORD_BYTES: number = 1 << 30
/** A new segment is begun when the current one is this long. */
export const DEFAULT_SEGMENT_BYTES: number = 64 << 20
/** What the first 64 bytes of a segment say. */
export interface SegmentHeader {
  /** Segments count up by one, from 1. */
  readonly segment: number
  /** Bytes of the segment before that hold whole, wanted records; what lies behind them was never acknowledged. */
  readonly previousLength: number
  /** True if those bytes were on disk before this segment was begun. */
  readonly previousIsSynced: boolean
  /** The oldest segment that was still wanted when this one was begun: older ones are deleted, a missing one from here on is damage. */
  readonly oldest: number
  /** The number of this segment's first record; records of a log count up by one, from 0. */
  readonly firstRecord: number
  readonly createdMs: number
  /**
   * Drawn at random for each segment; the checksums of its records begin with it. What an earlier file left on the disk, or
   * what somebody sends inside a message, is therefore never taken for a record.
   */
  readonly salt: number
}

/** `log-0000000042.mlog` for segment 42: names sort as their numbers do. */
export function segmentName(segment: number): string {
  return `log-${String(segment).padStart(10, '0')}.mlog`
}

/** The number in a segment's name, or null for another file. */
export function segmentNumber(name: string): number | null {
  const match = /^log-(\d{10})\.mlog$/.exec(name)
  return match === null ? null : Number(match[1])
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  SEGMENT_MAGIC.copy(bytes)
  bytes.writeUInt32LE(LOG_VERSION, 8)
  bytes.writeUInt32LE(header.previousIsSynced ? 1 : 0, 12)
  bytes.writeDoubleLE(header.segment, 16)
  bytes.writeDoubleLE(header.previousLength, 24)
  bytes.writeDoubleLE(header.oldest, 32)
  bytes.writeDoubleLE(header.firstRecord, 40)
  bytes.writeDoubleLE(header.createdMs, 48)
  bytes.writeUInt32LE(header.salt, 56)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60)
  return bytes
}

/**
 * Reads a segment's header. Null if the header is incomplete or damaged, which only the newest segment may be; throws
 * `LOG_VERSION` for a version this code does not read. Magic, version and checksum stay where they are in every version.
 */
export function decodeSegmentHeader(bytes: Buffer, file: string): SegmentHeader | null {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return null
  if (bytes.readUInt32LE(60) !== crc32(bytes.subarray(0, 60))) return null
  const version = bytes.readUInt32LE(8)
  if (version !== LOG_VERSION) {
    throw new MillraceError(
      'LOG_VERSION',
      `${file} is a log of format ${version}; this version of Millrace reads format ${LOG_VERSION}. Finish the log with the version that wrote it, or start with an empty checkpoint directory.`,
      { details: { file, version, expected: LOG_VERSION } },
    )
  }
  return {
    previousIsSynced: bytes.readUInt32LE(12) === 1,
    segment: bytes.readDoubleLE(16),
    previousLength: bytes.readDoubleLE(24),
    oldest: bytes.readDoubleLE(32),
    firstRecord: bytes.readDoubleLE(40),
    createdMs: bytes.readDoubleLE(48),
    salt: bytes.readUInt32LE(56),
  }
}

/** What the 24 bytes before a record's payload say. */
export interface RecordHeader {
  readonly payloadBytes: number
  readonly crc: number
  /** The record's place in its segment, from 0. */
  readonly index: number
  /** Bytes of this segment that were on disk when this record was written: damage before them is no torn tail. */
  readonly syncedBytes: number
  /** 0 – 255, chosen by the log's user. */
  readonly type: number
}

/** Header of a record whose payload is `chunks`, one after another, in the segment with that salt. */
export function encodeRecordHeader(
  record: { readonly index: number; readonly syncedBytes: number; readonly type: number },
  chunks: readonly Uint8Array[],
  salt: number,
): Buffer {
  let payloadBytes = 0
  for (const chunk of chunks) payloadBytes += chunk.byteLength
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES)
  bytes.writeUInt32LE(RECORD_MAGIC, 0)
  bytes.writeUInt32LE(payloadBytes, 8)
  bytes.writeUInt32LE(record.index, 12)
  bytes.writeUInt32LE(record.syncedBytes, 16)
  bytes.writeUInt32LE(record.type, 20)
  let crc = crc32(bytes.subarray(8), salt)
  for (const chunk of chunks) crc = crc32(chunk, crc)
  bytes.writeUInt32LE(crc, 4)
  return bytes
}

/** Reads the header at `offset` of `bytes`; null where there is none. The payload is not checked. */
export function decodeRecordHeader(bytes: Buffer, offset: number): RecordHeader | null {
  if (offset + RECORD_HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== RECORD_MAGIC) return null
  const payloadBytes = bytes.readUInt32LE(offset + 8)
  if (payloadBytes > MAX_RECORD_BYTES) return null
  return {
    crc: bytes.readUInt32LE(offset + 4),
    payloadBytes,
    index: bytes.readUInt32LE(offset + 12),
    syncedBytes: bytes.readUInt32LE(offset + 16),
    type: bytes.readUInt32LE(offset + 20),
  }
}

/** The header at `offset` if its whole record is there and undamaged, else null. */
export function checkedRecordAt(bytes: Buffer, offset: number, salt: number): RecordHeader | null {
  const header = decodeRecordHeader(bytes, offset)
  if (header === null) return null
  const end = offset + RECORD_HEADER_BYTES + header.payloadBytes
  if (end > bytes.length || crc32(bytes.subarray(offset + 8, end), salt) !== header.crc) return null
  return header
}

/** Bytes a record takes in its segment, padding included. */
export function recordBytes(payloadBytes: number): number {
  return Math.ceil((RECORD_HEADER_BYTES + payloadBytes) / RECORD_ALIGNMENT) * RECORD_ALIGNMENT
}
