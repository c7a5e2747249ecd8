/**
 * A write ahead log: an append is done when its record is as safe as the sync mode promises. One writer; what is appended
 * while the disk is busy goes out together, with one write and one fdatasync for all (group commit).
 */
import { randomInt } from 'node:crypto'
import { MillraceError, toError } from '../errors.js'
import type { DirectoryHandle } from './directory-handle.js'
import { DEFAULT_SEGMENT_BYTES, MAX_RECORD_BYTES, segmentName, segmentNumber } from './log-format.js'
import { type LogEnd, type LogPosition, type LogRecord, LogRecords, readLog } from './log-reader.js'
import { LogSegment, type NewRecord } from './log-segment.js'

/**
 * When a record is put on disk: `'always'` before its append resolves; every so many milliseconds; or `'never'`, when the
 * system sees fit. In every mode a record survives the death of the process; a power failure may take what was not synced.
 */
export type SyncMode = 'always' | { readonly intervalMs: number } | 'never'

export interface LogOptions {
  /** @default 'always' */
  readonly sync?: SyncMode
  /** Length at which a new segment is begun. @default 64 MiB */
  readonly segmentBytes?: number
  /** Gets what went wrong in the background: a sync by interval, a deletion. @default ignored until the next append meets it */
  readonly onError?: (error: MillraceError) => void
}

/** What the log has done since it was opened. */
export interface LogMetrics {
  readonly appends: number
  readonly bytes: number
  readonly groups: number
  readonly syncs: number
  readonly failures: number
}

interface Append extends NewRecord {
  readonly resolve: (position: LogPosition) => void
  readonly reject: (error: Error) => void
}

/** So many segments that are not needed are deleted before the next one is due: a process that is killed again and again begins one each time. */
const MAX_UNNEEDED = 8

/** Most bytes of one group, so that an append never waits for more than this before its sync begins. */
const GROUP_BYTES = 8 << 20

export class WriteAheadLog {
  readonly directory: DirectoryHandle
  readonly #sync: SyncMode
  readonly #segmentBytes: number
  readonly #onError: (error: MillraceError) => void
  readonly #records: LogRecords
  #queue: Append[] = []
  #pendingBytes = 0
  #draining: Promise<void> | null = null
  #closed = false

  /** How the log ended that was opened. */
  readonly #recovered: LogEnd
  /** Null before the first one has begun. */
  #current: LogSegment | null = null
  #oldest: number
  /** The oldest one that is needed, as the header of the newest notes it. */
  #noted: number
  #deleted = 1
  #timer: NodeJS.Timeout | null = null
  readonly #metrics = { appends: 0, bytes: 0, groups: 0, syncs: 0, failures: 0 }

  private constructor(directory: DirectoryHandle, end: LogEnd, options: LogOptions) {
    this.directory = directory
    this.#sync = options.sync ?? 'always'
    this.#segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES
    this.#onError = options.onError ?? (() => {})
    this.#records = new LogRecords(directory)
    this.#recovered = end
    this.#oldest = end.segments[0] ?? 1
    this.#noted = this.#oldest
  }

  /**
   * Opens the log in `directory`, giving `visit` every record it holds, oldest first (the payload is valid during the call
   * only). The log goes on in a new segment. Throws `LOG_CORRUPT`, `LOG_VERSION`, or `LOG_WRITE_FAILED` when the directory
   * cannot be written. See `readLog` for what counts as damage.
   *
   *     const log = await WriteAheadLog.open(await openDirectory('/var/lib/job/log'), (record) => state.apply(record))
   *     await log.append(1, [block]) // the block is on disk
   */
  static async open(
    directory: DirectoryHandle,
    visit: (record: LogRecord) => void,
    options: LogOptions = {},
  ): Promise<WriteAheadLog> {
    const log = new WriteAheadLog(directory, await readLog(directory, visit), options)
    try {
      // What a killed process wrote may be known to the system only: it counts from now on, so it must be on disk.
      if (log.segment > 0) await log.#syncRecovered()
      await log.#roll()
    } catch (error) {
      await log.#records.close()
      throw log.#writeFailed(error, 'start again')
    }
    return log
  }

  get metrics(): LogMetrics {
    return { ...this.#metrics }
  }

  /** The segment that is being written: pass it to `deleteBefore` to drop all earlier ones. */
  get segment(): number {
    return this.#current?.number ?? this.#recovered.newest
  }

  /** Bytes appended that are not yet as safe as the sync mode promises. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /**
   * Appends a record whose payload is `chunks`, one after another; they must not be changed until it resolves. Resolves to the
   * record's place, in the order of the calls. Rejects with `LOG_WRITE_FAILED` (the cause has the system's code: `ENOSPC`,
   * `EROFS`, `EACCES` …; `ENOENT` when its files have been deleted, seen within a second): the log itself is whole then, and the append may be tried again. A rejected record is not in the log;
   * only if the disk also refuses to take it back and the process dies at once, it may be found at recovery.
   */
  append(type: number, chunks: readonly Uint8Array[]): Promise<LogPosition> {
    let payloadBytes = 0
    for (const chunk of chunks) payloadBytes += chunk.byteLength
    if (this.#closed || payloadBytes > MAX_RECORD_BYTES) return Promise.reject(this.#unwelcome(payloadBytes))
    return new Promise((resolve, reject) => {
      this.#queue.push({ type, chunks, payloadBytes, resolve, reject })
      this.#pendingBytes += payloadBytes
      this.#draining ??= this.#drain()
    })
  }

  /** The payload of a record of this log. Rejects with `BLOCK_NOT_FOUND` or `LOG_CORRUPT`. */
  read(position: LogPosition): Promise<Buffer> {
    return this.#records.read(position)
  }

  /** Says that segments before `segment` are not needed any more. They are deleted when the next segment has begun, whose header notes it: when that is due, or there are eight. */
  deleteBefore(segment: number): void {
    this.#oldest = Math.max(this.#oldest, Math.min(segment, this.segment))
  }

  /** Puts everything appended so far on disk, whatever the sync mode. */
  async flush(): Promise<void> {
    while (this.#draining !== null) await this.#draining
    await this.#datasync()
  }

  /** Waits for the appends under way, puts them on disk and closes the files. Later appends are refused. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    try {
      await this.flush()
    } catch (error) {
      throw this.#writeFailed(error)
    } finally {
      await this.#current?.close()
      await this.#records.close()
    }
  }

  async #drain(): Promise<void> {
    // Everything appended in this turn of the event loop goes out in the first group.
    await null
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        const positions = await this.#writeGroup(group)
        for (let i = 0; i < group.length; i++) group[i]!.resolve(positions[i]!)
      } catch (error) {
        this.#metrics.failures++
        const failure = this.#writeFailed(error)
        for (const append of group) append.reject(failure)
      }
      for (const append of group) this.#pendingBytes -= append.payloadBytes
    }
    this.#draining = null
  }

  #takeGroup(): Append[] {
    let bytes = 0
    let count = 0
    while (count < this.#queue.length && (count === 0 || bytes + this.#queue[count]!.payloadBytes <= GROUP_BYTES)) {
      bytes += this.#queue[count++]!.payloadBytes
    }
    const group = this.#queue
    this.#queue = group.splice(count)
    return group
  }

  async #writeGroup(group: readonly Append[]): Promise<LogPosition[]> {
    let segment = this.#current!
    const isDue = segment.length >= this.#segmentBytes || this.#oldest - this.#noted >= MAX_UNNEEDED
    if (segment.isBroken || isDue) segment = await this.#roll()
    const { length } = segment
    const positions = await segment.write(group, this.#sync === 'always')
    this.#metrics.groups++
    this.#metrics.appends += group.length
    this.#metrics.bytes += segment.length - length
    if (this.#sync === 'always') this.#metrics.syncs++
    else if (this.#sync !== 'never')
      this.#timer ??= setTimeout(() => void this.#syncByInterval(), this.#sync.intervalMs).unref()
    return positions
  }

  async #syncByInterval(): Promise<void> {
    this.#timer = null
    try {
      await this.#datasync()
    } catch (error) {
      this.#metrics.failures++
      this.#onError(this.#writeFailed(error))
    }
  }

  async #syncRecovered(): Promise<void> {
    const file = await this.directory.open(segmentName(this.segment))
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  async #datasync(): Promise<void> {
    if (await this.#current?.sync()) this.#metrics.syncs++
  }

  /** Begins the next segment; its header fixes the end of this one. */
  async #roll(): Promise<LogSegment> {
    const durable = this.#sync !== 'never'
    let previousIsSynced = durable
    if (durable) {
      try {
        await this.#datasync()
      } catch (error) {
        // The system forgets what it could not write after saying so once. The log goes on, and its reader is told.
        previousIsSynced = false
        this.#onError(this.#writeFailed(error))
      }
    }
    const previous = this.#current
    const number = this.segment + 1
    const header = {
      segment: number,
      previousLength: previous?.length ?? this.#recovered.newestLength,
      previousIsSynced,
      oldest: Math.min(this.#oldest, number),
      firstRecord: previous?.nextRecord ?? this.#recovered.nextRecord,
      createdMs: Date.now(),
      salt: randomInt(2 ** 32),
    }
    const next = await LogSegment.begin(this.directory, header, durable)
    await previous?.close()
    this.#current = next
    this.#noted = header.oldest
    await this.#deleteOld()
    return next
  }

  /** Deletes what the header just written does not count as wanted. What cannot be deleted now is tried again at the next roll. */
  async #deleteOld(): Promise<void> {
    if (this.#deleted >= this.#oldest) return
    try {
      for (const name of await this.directory.list()) {
        const number = segmentNumber(name)
        if (number === null || number >= this.#oldest) continue
        await this.#records.forget(number)
        await this.directory.remove(name)
      }
      this.#deleted = this.#oldest
    } catch (error) {
      this.#onError(this.#writeFailed(error))
    }
  }

  /** The error for what the system refused; `then` is what follows once it is put right. */
  #writeFailed(thrown: unknown, then = 'receiving goes on by itself'): MillraceError {
    if (MillraceError.is(thrown)) return thrown
    const cause = toError(thrown) as NodeJS.ErrnoException
    return new MillraceError(
      'LOG_WRITE_FAILED',
      `The log in ${this.directory.path} cannot be written: ${advice(cause, then)}`,
      { cause, details: { directory: this.directory.path, reason: cause.code ?? null } },
    )
  }

  #unwelcome(payloadBytes: number): MillraceError {
    return this.#closed
      ? new MillraceError('ILLEGAL_STATE', `The log in ${this.directory.path} is closed.`)
      : new MillraceError(
          'ILLEGAL_ARGUMENT',
          `A record of ${payloadBytes} bytes is longer than the log takes (${MAX_RECORD_BYTES} bytes).`,
        )
  }
}

function advice(cause: NodeJS.ErrnoException, then: string): string {
  switch (cause.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `the disk is full. Free some space; then ${then}.`
    case 'EROFS':
      return `the file system is read-only. Mount it for writing; then ${then}.`
    case 'EACCES':
    case 'EPERM':
      return `permission is denied. Give this user the right to write there; then ${then}.`
    case 'ENOENT':
      return `its files have been deleted (${cause.message}). Nothing more is acknowledged; stop the job, put them back from a copy, or start with an empty checkpoint directory.`
    default:
      return `${cause.message}. Nothing more is acknowledged until it can.`
  }
}
