/** The journal of a checkpoint directory: appends events to its log, knows what they add up to, and lets go of what is not needed. */
import type { BlockInfo } from '../rdd/lineage.js'
import type { Time } from '../time.js'
import type { KeptContent } from './block-manager.js'
import type { DirectoryHandle } from './directory-handle.js'
import { decodeBlockContent, decodeEvent, encodeBlock, encodeEvent, type JournalEvent } from './journal-events.js'
import { JournalState, type LoggedBlock } from './journal-state.js'
import { type LogMetrics, type LogOptions, WriteAheadLog } from './write-ahead-log.js'

export class Journal {
  readonly #log: WriteAheadLog
  readonly state: JournalState
  /** Segments before this one have been given up. */
  #released = 0

  private constructor(log: WriteAheadLog, state: JournalState) {
    this.#log = log
    this.state = state
  }

  /** Opens the journal in `directory` with everything it holds. Throws what `WriteAheadLog.open` throws, and `CHECKPOINT_INVALID`. */
  static async open(directory: DirectoryHandle, options: LogOptions = {}): Promise<Journal> {
    const state = new JournalState()
    const log = await WriteAheadLog.open(
      directory,
      ({ type, payload, position }) => state.apply(decodeEvent(type, payload), position),
      options,
    )
    return new Journal(log, state)
  }

  /** Where the log is, for reading blocks elsewhere. */
  get directory(): string {
    return this.#log.directory.path
  }

  get metrics(): LogMetrics {
    return this.#log.metrics
  }

  /**
   * Logs a block with its content, and on the way up to which block of its stream the source has its acknowledgements. Resolves when it is as safe as the sync mode promises; rejects with `LOG_WRITE_FAILED` or `NOT_SERIALIZABLE`.
   */
  async addBlock(block: BlockInfo, content: KeptContent, acknowledged: number | null = null): Promise<LoggedBlock> {
    const { recordType, chunks } = encodeBlock(block, content, acknowledged)
    const position = await this.#log.append(recordType, chunks)
    this.state.apply({ type: 'blockAdded', block, format: content.type, acknowledged }, position)
    return { block, format: content.type, position }
  }

  /** Logs an event; it holds from the moment this resolves. Rejects with `LOG_WRITE_FAILED`, and then nothing has changed. */
  async record(event: Exclude<JournalEvent, { type: 'blockAdded' }>): Promise<void> {
    const { recordType, chunks } = encodeEvent(event)
    this.state.apply(event, await this.#log.append(recordType, chunks))
  }

  /** The content of a block, from the log. Rejects with `BLOCK_NOT_FOUND` or `LOG_CORRUPT`. */
  async readBlock({ position, format }: LoggedBlock): Promise<KeptContent> {
    return decodeBlockContent(await this.#log.read(position), format)
  }

  /** Forgets the batches before `time` and lets the log delete the segments that only they needed. */
  async forgetBefore(time: Time): Promise<void> {
    const { state } = this
    const isOld = [...state.batches.keys()].some((batch) => batch < time)
    if (isOld) await this.record({ type: 'batchesForgotten', time, lastAllocated: state.lastAllocated ?? time })
    const oldest = state.oldestNeeded(this.#log.segment)
    if (oldest <= this.#released) return
    // What is needed for ever moves on before the segment it stands in goes.
    for (const { event, segment } of [...state.latest.values()]) if (segment < oldest) await this.record(event)
    this.#released = oldest
    this.#log.deleteBefore(oldest)
  }

  /** Closes the log; everything appended is on disk then. */
  close(): Promise<void> {
    return this.#log.close()
  }
}
