/** The journal of a checkpoint directory: appends events to its log, knows what they add up to, and lets go of what is not needed. */
import { MillraceError } from '../errors.js'
import type { BlockInfo } from '../rdd/lineage.js'
import type { Time } from '../time.js'
import type { KeptContent } from './block-manager.js'
import type { DirectoryHandle } from './directory-handle.js'
import {
  type BlockAdded,
  decodeBlockContent,
  decodeEvent,
  encodeBlock,
  encodeEvent,
  type JournalEvent,
} from './journal-events.js'
import { JournalState } from './journal-state.js'
import type { LoggedBlock } from './logged-block.js'
import type { Retained } from './retained-history.js'
import { type LogMetrics, type LogOptions, WriteAheadLog } from './write-ahead-log.js'

/** How long an event waits after a failed write before it is tried again. */
const RETRY_MS = 1000

export interface JournalOptions extends LogOptions {
  /**
   * Called when an event cannot be logged, once until one can again. With it, events wait until they can be (space may return),
   * or `stopWaiting` is called; without, they are refused.
   */
  readonly onWaiting?: (error: MillraceError) => void
}

export class Journal {
  readonly #log: WriteAheadLog
  readonly #onWaiting: ((error: MillraceError) => void) | null
  #isWaiting = false
  #isStopping = false
  readonly #wake = new Set<() => void>()
  readonly state: JournalState
  /** What is kept of batches that are forgotten, for `millrace replay`; null for nothing. */
  retained: Retained | null = null
  /** Segments before this one have been given up. */
  #released = 0

  private constructor(log: WriteAheadLog, state: JournalState, options: JournalOptions) {
    this.#log = log
    this.#onWaiting = options.onWaiting ?? null
    this.state = state
  }

  /** Opens the journal in `directory` with everything it holds. Throws what `WriteAheadLog.open` throws, and `CHECKPOINT_INVALID`. */
  static async open(directory: DirectoryHandle, options: JournalOptions = {}): Promise<Journal> {
    const state = new JournalState()
    const log = await WriteAheadLog.open(
      directory,
      ({ type, payload, position }) => state.apply(decodeEvent(type, payload), position),
      options,
    )
    return new Journal(log, state, options)
  }

  /** Where the log is, for reading blocks elsewhere. */
  get directory(): string {
    return this.#log.directory.path
  }

  get metrics(): LogMetrics {
    return this.#log.metrics
  }

  /**
   * Logs a block with its content; on the way up to which block of its stream the source has its acknowledgements, and how many
   * records of the stream are to be remembered. Resolves when it is as safe as the sync mode promises; rejects with
   * `LOG_WRITE_FAILED` or `NOT_SERIALIZABLE`.
   */
  async addBlock(
    block: BlockInfo,
    content: KeptContent,
    acknowledged: number | null = null,
    rememberRecords = 0,
  ): Promise<LoggedBlock> {
    const format = content.type
    const remember = rememberRecords > 0 ? { remember: rememberRecords } : {}
    const event: BlockAdded = { type: 'blockAdded', block, format, acknowledged, ...remember }
    const { recordType, chunks } = encodeBlock(event, content)
    const position = await this.#log.append(recordType, chunks)
    this.state.apply(event, position)
    return { block, format, position }
  }

  /**
   * Logs an event; it holds from the moment this resolves. While the log cannot be written it waits, where the options say so;
   * else it rejects with `LOG_WRITE_FAILED`, and then nothing has changed.
   */
  async record(event: Exclude<JournalEvent, { type: 'blockAdded' }>): Promise<void> {
    for (;;) {
      try {
        await this.recordNow(event)
        this.#isWaiting = false
        return
      } catch (error) {
        const onWaiting = this.#onWaiting
        if (onWaiting === null || this.#isStopping || !MillraceError.is(error, 'LOG_WRITE_FAILED')) throw error
        if (!this.#isWaiting) onWaiting(error)
        this.#isWaiting = true
        await this.#pause()
      }
    }
  }

  /** Lets events that wait be tried once more; from now on none waits. */
  stopWaiting(): void {
    this.#isStopping = true
    for (const wake of this.#wake) wake()
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#wake.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, RETRY_MS)
      this.#wake.add(wake)
    })
  }

  /** As `record`, without waiting. */
  async recordNow(event: Exclude<JournalEvent, { type: 'blockAdded' }>): Promise<void> {
    const { recordType, chunks } = encodeEvent(event)
    this.state.apply(event, await this.#log.append(recordType, chunks))
  }

  /** The content of a block, from the log. Rejects with `BLOCK_NOT_FOUND` or `LOG_CORRUPT`. */
  async readBlock({ position, format }: LoggedBlock): Promise<KeptContent> {
    return decodeBlockContent(await this.#log.read(position), format)
  }

  /** Forgets the batches before `time` and lets the log delete the segments that only they needed. */
  async forgetBefore(time: Time): Promise<void> {
    const { state, retained } = this
    const isOld = [...state.batches.keys()].some((batch) => batch < time)
    if (isOld) {
      const lastAllocated = state.lastAllocated ?? time
      const kept = retained === null ? {} : { retained }
      await this.record({ type: 'batchesForgotten', time, lastAllocated, ...kept })
    }
    const oldest = state.oldestNeeded(this.#log.segment)
    if (oldest <= this.#released) return
    // What is needed for ever moves on before the segment it stands in goes.
    for (const { event, segment } of [...state.history.events, ...state.latest.values()])
      if (segment < oldest) await this.record(event)
    this.#released = oldest
    this.#log.deleteBefore(oldest)
  }

  /** Closes the log; everything appended is on disk then. */
  close(): Promise<void> {
    return this.#log.close()
  }
}
