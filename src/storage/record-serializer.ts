/**
 * Records to bytes and back, by columns: an array of pairs is written as its keys and its values, an array of like objects
 * as one column a field, and a column of numbers or texts in one piece. Measured against v8.serialize and msgpackr in
 * `benchmarks/record-serializer.mjs`.
 */
import { MillraceError } from '../errors.js'
import { ByteReader, ByteWriter } from './byte-writer.js'
import { formatVersion } from './record-format.js'
import { readColumn } from './record-reader.js'
import { writeColumn } from './record-writer.js'

/** A writer larger than this is not kept. */
const SPARE_BYTES_MAX = 4 * 1024 * 1024

/** The writer of the call before, which has grown as large as is usual; null while it is in use. */
let spare: ByteWriter | null = null

/**
 * The records as bytes. Plain objects, arrays, text, numbers (NaN and -0 too), bigint, booleans, null, undefined, Date, Map,
 * Set, Buffer, ArrayBuffer and typed arrays come back equal; two references to one object come back as two objects.
 *
 * Throws `NOT_SERIALIZABLE` for a function, a symbol, an instance of a class (named in the text: its methods could not come
 * back) and a value that contains itself.
 */
export function serializeRecords(records: readonly unknown[]): Buffer {
  // Packing a value may serialize others, which then need a writer of their own.
  const writer = spare ?? new ByteWriter(64 + records.length * 16)
  spare = null
  try {
    writer.byte(formatVersion)
    writer.count(records.length)
    writeColumn(writer, records, 0)
    return Buffer.from(writer.written)
  } finally {
    writer.clear()
    if (writer.capacity <= SPARE_BYTES_MAX) spare = writer
  }
}

/** The records of bytes that `serializeRecords` made. Throws `CHECKPOINT_INVALID` for anything else. */
export function deserializeRecords(bytes: Uint8Array): unknown[] {
  const reader = new ByteReader(bytes)
  try {
    const version = reader.byte()
    if (version !== formatVersion) throw new RangeError(`Format ${version} is not known.`)
    return readColumn(reader, reader.count())
  } catch (cause) {
    throw new MillraceError('CHECKPOINT_INVALID', 'Stored records cannot be read back: the bytes are damaged.', {
      cause,
    })
  }
}
