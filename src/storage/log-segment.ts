/** The segment of a log that is being written: appends groups of records to its file, and knows how much of it counts. */
import { type DirectoryHandle, type FileHandle, writeFully } from './directory-handle.js'
import {
  encodeRecordHeader,
  encodeSegmentHeader,
  RECORD_HEADER_BYTES,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
} from './log-format.js'
import type { LogPosition } from './log-reader.js'

/** A record as it is given: its payload is the chunks one after another, `payloadBytes` in all. */
export interface NewRecord {
  readonly type: number
  readonly chunks: readonly Uint8Array[]
  readonly payloadBytes: number
}

/** A write to a file that has been deleted succeeds, so it is looked at this often. */
const LOOK_MS = 1000
const padding = Buffer.alloc(8)

export class LogSegment {
  readonly number: number
  readonly #file: FileHandle
  readonly #salt: number
  readonly #firstRecord: number
  #records = 0
  #length = SEGMENT_HEADER_BYTES
  #syncedBytes: number
  #isBroken = false
  #isClosed = false
  #lookedAt = Number.NEGATIVE_INFINITY

  private constructor(file: FileHandle, { segment, salt, firstRecord }: SegmentHeader, isSynced: boolean) {
    this.#file = file
    this.number = segment
    this.#salt = salt
    this.#firstRecord = firstRecord
    this.#syncedBytes = isSynced ? SEGMENT_HEADER_BYTES : 0
  }

  /** A new segment in `directory`; `withSync`, on disk with its name. Rejects with the system's error, and no file is left then. */
  static async begin(directory: DirectoryHandle, header: SegmentHeader, withSync: boolean): Promise<LogSegment> {
    const name = segmentName(header.segment)
    // A header that failed half way must not stand in the way of the next attempt.
    await directory.remove(name)
    const file = await directory.create(name)
    try {
      await writeFully(file, [encodeSegmentHeader(header)], 0)
      if (withSync) {
        await file.datasync()
        await directory.sync()
      }
      return new LogSegment(file, header, withSync)
    } catch (error) {
      await file.close().catch(() => {})
      await directory.remove(name).catch(() => {})
      throw error
    }
  }

  /** Bytes that hold the header and records which count; the next record goes here. */
  get length(): number {
    return this.#length
  }

  /** The number, from the beginning of the log, of the record that comes next. */
  get nextRecord(): number {
    return this.#firstRecord + this.#records
  }

  /** True when it must not be written to again: its content beyond `length` is not known. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Appends the records with one write and, `withSync`, one fdatasync. Rejects with the system's error: none of them counts then. */
  async write(records: readonly NewRecord[], withSync: boolean): Promise<LogPosition[]> {
    const chunks: Uint8Array[] = []
    const positions: LogPosition[] = []
    let offset = this.#length
    for (const { type, chunks: payload, payloadBytes } of records) {
      const record = { type, index: this.#records + positions.length, syncedBytes: this.#syncedBytes }
      chunks.push(encodeRecordHeader(record, payload, this.#salt), ...payload)
      const bytes = recordBytes(payloadBytes)
      const pad = bytes - RECORD_HEADER_BYTES - payloadBytes
      if (pad > 0) chunks.push(padding.subarray(0, pad))
      positions.push({ segment: this.number, offset, payloadBytes })
      offset += bytes
    }
    // Until the group is done, what lies behind #length is unknown. If it stays so, the next group goes to a new segment.
    this.#isBroken = true
    let isWritten = false
    try {
      await writeFully(this.#file, chunks, this.#length)
      isWritten = true
      if (withSync) await this.#file.datasync()
      await this.#assertThere()
    } catch (error) {
      // A failed sync may have dropped pages for good, so that segment is not used again; after a failed write it is.
      await this.#file.truncate(this.#length).then(
        () => (this.#isBroken = isWritten),
        () => {},
      )
      throw error
    }
    this.#isBroken = false
    this.#length = offset
    this.#records += records.length
    if (withSync) this.#syncedBytes = offset
    return positions
  }

  /** Puts on disk what was written; resolves to false when it was there already. */
  async sync(): Promise<boolean> {
    const length = this.#length
    if (this.#isClosed || this.#syncedBytes >= length) return false
    await this.#file.datasync()
    this.#syncedBytes = length
    return true
  }

  async #assertThere(): Promise<void> {
    const now = performance.now()
    if (now - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = now
    if (await this.#file.isDeleted())
      throw Object.assign(new Error(`${segmentName(this.number)} has been deleted`), { code: 'ENOENT' })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#file.close().catch(() => {})
  }
}
