/** Reads a write ahead log back: every whole record in order, a quiet end at a torn tail, a named error for any other damage. */
import { MillraceError } from '../errors.js'
import { type DirectoryHandle, type FileHandle, readFile } from './directory-handle.js'
import {
  checkedRecordAt,
  decodeSegmentHeader,
  RECORD_ALIGNMENT,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
  segmentNumber,
} from './log-format.js'

/** Where a record is; plain data, so that it can stand in for the record's bytes. */
export interface LogPosition {
  readonly segment: number
  readonly offset: number
  readonly payloadBytes: number
}

/** A record as read. */
export interface LogRecord {
  readonly type: number
  /** A view into the reader's buffer: copy what is kept. */
  readonly payload: Buffer
  readonly position: LogPosition
}

/** What a writer needs to know to go on behind what was read. */
export interface LogEnd {
  /** Segments on disk that belong to the log, in order. */
  readonly segments: readonly number[]
  /** Number of the newest segment, 0 when there is none. */
  readonly newest: number
  /** Bytes of the newest segment that hold whole records. */
  readonly newestLength: number
  readonly nextRecord: number
  /** Bytes behind the last whole record: what was being written when the writer was stopped. */
  readonly tornBytes: number
}

interface Segment {
  readonly number: number
  readonly bytes: Buffer
  readonly header: SegmentHeader | null
}

/**
 * Calls `visit` for each record of the log in `directory`, oldest first, and resolves to where the log ends.
 *
 * A log may end in the middle of a record: that is what a crash leaves, and those bytes were never acknowledged. Throws
 * `LOG_CORRUPT` for anything else that is not as it was written (a changed bit, a missing segment) and `LOG_VERSION` for a
 * log of another format; `docs/log-format.md` has the rules. An empty directory is an empty log.
 */
export async function readLog(directory: DirectoryHandle, visit: (record: LogRecord) => void): Promise<LogEnd> {
  const numbers = (await directory.list())
    .map(segmentNumber)
    .filter((number) => number !== null)
    .sort((a, b) => a - b)
  const newest = numbers.at(-1)
  if (newest === undefined) return { segments: [], newest: 0, newestLength: 0, nextRecord: 0, tornBytes: 0 }

  const first = firstWanted(await readHeaders(directory, numbers.slice(-2)), numbers)
  const wanted = numbers.filter((number) => number >= first)
  for (let number = first; number <= newest; number++) {
    if (!wanted.includes(number)) throw missing(directory, number)
  }
  let nextRecord = 0
  let end = { length: 0, tornBytes: 0 }
  let segment = await readSegment(directory, first)
  for (let number = first; number <= newest; number++) {
    const following = number === newest ? null : await readSegment(directory, number + 1)
    const from = segment.header?.firstRecord ?? nextRecord
    end = readRecords(directory, segment, following?.header ?? null, (index, record) => {
      nextRecord = from + index + 1
      visit(record)
    })
    nextRecord = Math.max(nextRecord, from)
    if (following !== null) segment = following
  }
  return { segments: wanted, newest, newestLength: end.length, nextRecord, tornBytes: end.tornBytes }
}

/** The newest whole header says how far back the log goes. The newest file may have none yet; then the one before it does. */
function firstWanted(headers: readonly (SegmentHeader | null)[], numbers: readonly number[]): number {
  const known = headers.filter((header) => header !== null)
  return known.length === 0 ? numbers[0]! : Math.max(...known.map((header) => header.oldest))
}

async function readHeaders(
  directory: DirectoryHandle,
  numbers: readonly number[],
): Promise<readonly (SegmentHeader | null)[]> {
  const headers: (SegmentHeader | null)[] = []
  for (const number of numbers) {
    const file = await directory.open(segmentName(number))
    try {
      headers.push(await readHeader(file, segmentName(number)))
    } finally {
      await file.close()
    }
  }
  return headers
}

async function readHeader(file: FileHandle, name: string): Promise<SegmentHeader | null> {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  return decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)), name)
}

async function readSegment(directory: DirectoryHandle, number: number): Promise<Segment> {
  const name = segmentName(number)
  const bytes = await readFile(directory, name)
  const header = decodeSegmentHeader(bytes, name)
  if (header !== null && header.segment !== number) {
    throw corrupt(directory, number, 0, `its header says it is segment ${header.segment}`)
  }
  return { number, bytes, header }
}

/** Visits the records of one segment; `following` is the header of the next one, which knows where this one ends. */
function readRecords(
  directory: DirectoryHandle,
  segment: Segment,
  following: SegmentHeader | null,
  visit: (index: number, record: LogRecord) => void,
): { length: number; tornBytes: number } {
  const { number, bytes, header } = segment
  const length = following === null ? bytes.length : following.previousLength
  if (header === null) {
    // Begun, but its header never reached the disk: nothing in it was acknowledged.
    const wasBegun = following === null ? !hadHeader(bytes) : following.previousLength === 0
    if (wasBegun) return { length: 0, tornBytes: bytes.length }
    throw corrupt(directory, number, 0, 'its header is damaged')
  }
  const { salt } = header
  let offset = SEGMENT_HEADER_BYTES
  let index = 0
  while (offset < length) {
    const record = checkedRecordAt(bytes, offset, salt)
    if (record === null || record.index !== index) break
    const start = offset + RECORD_HEADER_BYTES
    visit(index, {
      type: record.type,
      payload: bytes.subarray(start, start + record.payloadBytes),
      position: { segment: number, offset, payloadBytes: record.payloadBytes },
    })
    offset += recordBytes(record.payloadBytes)
    index++
  }
  // The padding of the last record may be missing; nothing is lost with it.
  if (offset >= length) return { length: offset, tornBytes: 0 }
  if (following?.previousIsSynced) {
    throw corrupt(directory, number, offset, `${length - offset} bytes of it cannot be read`)
  }
  if (wasSynced(bytes, offset, salt)) {
    throw corrupt(directory, number, offset, 'a later record shows that this place had been on disk')
  }
  return { length: offset, tornBytes: length - offset }
}

/** True if a header was there before: records follow it, and what is in its place is not what a file has that was never written. */
function hadHeader(bytes: Buffer): boolean {
  return bytes.length > SEGMENT_HEADER_BYTES && bytes.subarray(0, SEGMENT_HEADER_BYTES).some((byte) => byte !== 0)
}

/** True if a whole record behind the damage at `offset` says that the damaged place was on disk before: then it is no torn tail. */
function wasSynced(bytes: Buffer, offset: number, salt: number): boolean {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(RECORD_MAGIC)
  for (let at = bytes.indexOf(magic, offset); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    if (at % RECORD_ALIGNMENT !== 0) continue
    const record = checkedRecordAt(bytes, at, salt)
    if (record !== null && record.syncedBytes > offset) return true
  }
  return false
}

function corrupt(directory: DirectoryHandle, segment: number, offset: number, what: string): MillraceError {
  const file = segmentName(segment)
  return new MillraceError(
    'LOG_CORRUPT',
    `${directory.path}/${file} is damaged at byte ${offset}: ${what}. Restore the file from a copy. To go on without what it held, move the checkpoint directory away and start with an empty one.`,
    { details: { directory: directory.path, file, offset } },
  )
}

function missing(directory: DirectoryHandle, segment: number): MillraceError {
  const file = segmentName(segment)
  return new MillraceError(
    'LOG_CORRUPT',
    `${directory.path}/${file} is missing, though the log still needs it. Restore the file from a copy. To go on without what it held, move the checkpoint directory away and start with an empty one.`,
    { details: { directory: directory.path, file, offset: 0 } },
  )
}

/** Segments kept open for reading. */
const MAX_OPEN = 4

/** Reads single records by their position, for blocks that are no longer in memory. Keeps the files it used open, a few at a time. */
export class LogRecords {
  readonly #directory: DirectoryHandle
  readonly #open = new Map<number, Promise<{ file: FileHandle; salt: number }>>()
  /** Reads under way; files are closed when there is none. */
  #reading = 0
  readonly #unwanted: FileHandle[] = []

  constructor(directory: DirectoryHandle) {
    this.#directory = directory
  }

  /** The payload at `position`. Rejects with `BLOCK_NOT_FOUND` when the segment was deleted, `LOG_CORRUPT` when it is damaged. */
  async read(position: LogPosition): Promise<Buffer> {
    this.#reading++
    try {
      return await this.#read(position)
    } finally {
      if (--this.#reading === 0) for (const file of this.#unwanted.splice(0)) void file.close()
    }
  }

  async #read(position: LogPosition): Promise<Buffer> {
    const { file, salt } = await this.#segment(position.segment)
    const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + position.payloadBytes)
    const filled = await file.read(bytes, position.offset)
    if (filled < bytes.length || checkedRecordAt(bytes, 0, salt) === null) {
      throw corrupt(this.#directory, position.segment, position.offset, 'the record there cannot be read')
    }
    return bytes.subarray(RECORD_HEADER_BYTES)
  }

  /** Closes the files. */
  async close(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    for (const segment of open) await (await segment.catch(() => null))?.file.close()
    for (const file of this.#unwanted.splice(0)) await file.close()
  }

  #segment(number: number): Promise<{ file: FileHandle; salt: number }> {
    let segment = this.#open.get(number)
    if (segment === undefined) {
      segment = this.#openSegment(number)
      this.#open.set(number, segment)
      segment.catch(() => this.#open.delete(number))
      // An open file keeps a deleted segment's space: only the last few stay open. A read that is using one holds on to it.
      const [oldest] = this.#open.keys()
      if (this.#open.size > MAX_OPEN) void this.forget(oldest!)
    }
    return segment
  }

  async #openSegment(number: number): Promise<{ file: FileHandle; salt: number }> {
    const name = segmentName(number)
    let file: FileHandle
    try {
      file = await this.#directory.open(name)
    } catch (cause) {
      throw new MillraceError(
        'BLOCK_NOT_FOUND',
        `${this.#directory.path}/${name} cannot be opened: a block was asked for that the log no longer holds.`,
        { cause, details: { file: name } },
      )
    }
    try {
      const header = await readHeader(file, name)
      if (header === null) throw corrupt(this.#directory, number, 0, 'its header is damaged')
      return { file, salt: header.salt }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Closes the file of a segment that is about to be deleted. */
  async forget(number: number): Promise<void> {
    const segment = this.#open.get(number)
    this.#open.delete(number)
    const file = (await segment?.catch(() => null))?.file
    if (file === undefined) return
    if (this.#reading > 0) this.#unwanted.push(file)
    else await file.close()
  }
}
