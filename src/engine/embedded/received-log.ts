/** Logs what receivers store. While the log cannot be written, blocks wait, and with them the acknowledgements and in the end the source. */
import { MillraceError, toError } from '../../errors.js'
import type { BlockInfo } from '../../rdd/lineage.js'
import type { KeptContent } from '../../storage/block-manager.js'
import type { Journal } from '../../storage/journal.js'
import { blockNumber, type LoggedBlock } from '../../storage/logged-block.js'
import type { Clock, Time } from '../../time.js'

/** How long blocks wait after a failed write before they are tried again. */
const RETRY_MS = 1000
/** How long news of acknowledgements waits for a block to go along with. */
const IDLE_MS = 200

interface Stream {
  /** Numbers of the blocks stored since the last confirmation, in order. */
  readonly unconfirmed: number[]
  /** News for the log: up to which block the source has its acknowledgements. */
  confirmedThrough: number | null
  /** Records of the newest blocks that its receiver wants to remember. */
  rememberRecords: number
  cancelIdle: () => void
}

export class ReceivedLog {
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #streams = new Map<number, Stream>()
  /** While the log fails: settles when blocks may try again. They wait in the order of their first attempts. */
  #retry: Promise<void> | null = null
  #wakeRetry: () => void = () => {}
  /** True from a failure, which was reported, to the next success. */
  #isFailing = false
  #isStopping = false

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal
    this.#clock = clock
    for (const [streamId, tail] of journal.state.tails) {
      this.#stream(streamId).unconfirmed.push(...tail.unconfirmed.map(({ block }) => blockNumber(block)))
    }
  }

  /**
   * Logs a block; resolves when it is safe, however long the log fails meanwhile: `report` is told once. Rejects when the
   * records cannot be written at all (`NOT_SERIALIZABLE`), or the log still fails when the engine stops.
   */
  async add(block: BlockInfo, content: KeptContent, report: (message: string, error: Error) => void): Promise<void> {
    const stream = this.#stream(block.streamId)
    if (content.type === 'bytes') stream.unconfirmed.push(blockNumber(block))
    for (;;) {
      while (this.#retry !== null) await this.#retry
      const acknowledged = stream.confirmedThrough
      stream.confirmedThrough = null
      try {
        await this.#journal.addBlock(block, content, acknowledged, stream.rememberRecords)
        this.#isFailing = false
        return
      } catch (error) {
        stream.confirmedThrough ??= acknowledged
        if (!MillraceError.is(error, 'LOG_WRITE_FAILED') || this.#isStopping) throw error
        this.#pause(error, report)
      }
    }
  }

  /** The source of a stream has its acknowledgements for all but its newest `tail` blocks. Logged with the next block, or soon. */
  confirmed(streamId: number, tail: number): void {
    const stream = this.#stream(streamId)
    const gone = stream.unconfirmed.splice(0, Math.max(0, stream.unconfirmed.length - tail))
    const through = gone.at(-1)
    if (through === undefined) return
    stream.confirmedThrough = through
    stream.cancelIdle()
    stream.cancelIdle = this.#clock.at(this.#clock.now() + IDLE_MS, () => {
      if (stream.confirmedThrough === null) return
      const event = { type: 'acknowledged' as const, streamId, through: stream.confirmedThrough }
      stream.confirmedThrough = null
      // Only news: without it, more than necessary is compared after a crash.
      this.#journal.recordNow(event).catch(() => {})
    })
  }

  /** The contents of the blocks of a stream that its source may send again. */
  unconfirmed(streamId: number): Promise<readonly Uint8Array[]> {
    return this.#contents(this.#journal.state.tails.get(streamId)?.unconfirmed ?? [])
  }

  /** The contents of the newest blocks of a stream that are kept. From now on these are, at least, blocks with so many records. */
  remembered(streamId: number, records: number): Promise<readonly Uint8Array[]> {
    this.#stream(streamId).rememberRecords = records
    return this.#contents(this.#journal.state.tails.get(streamId)?.all ?? [])
  }

  async #contents(blocks: readonly LoggedBlock[]): Promise<readonly Uint8Array[]> {
    const contents: Uint8Array[] = []
    for (const logged of [...blocks]) {
      const content = await this.#journal.readBlock(logged)
      if (content.type === 'bytes') contents.push(content.bytes)
    }
    return contents
  }

  async allocated(time: Time, blocks: readonly BlockInfo[]): Promise<void> {
    await this.#journal.record({ type: 'batchAllocated', time, blocks: blocks.map(({ id }) => id) })
  }

  /** The blocks of a batch as the log has them. */
  blocksOf(time: Time): readonly LoggedBlock[] {
    return this.#journal.state.batches.get(time)?.blocks ?? []
  }

  /** A block that no batch has yet, as the log has it. */
  waiting(id: string): LoggedBlock | undefined {
    return this.#journal.state.waiting.get(id)
  }

  get directory(): string {
    return this.#journal.directory
  }

  async forget(time: Time): Promise<void> {
    await this.#journal.forgetBefore(time)
  }

  /** Lets blocks that wait for the log try once more; then they are refused. Called before the receivers are stopped. */
  stopWaiting(): void {
    this.#isStopping = true
    this.#wakeRetry()
  }

  async stop(): Promise<void> {
    this.stopWaiting()
    for (const stream of this.#streams.values()) stream.cancelIdle()
    for (const [streamId, { confirmedThrough }] of this.#streams) {
      if (confirmedThrough === null) continue
      await this.#journal.recordNow({ type: 'acknowledged', streamId, through: confirmedThrough }).catch(() => {})
    }
  }

  #stream(streamId: number): Stream {
    let stream = this.#streams.get(streamId)
    if (stream === undefined) {
      stream = { unconfirmed: [], confirmedThrough: null, rememberRecords: 0, cancelIdle: () => {} }
      this.#streams.set(streamId, stream)
    }
    return stream
  }

  #pause(error: unknown, report: (message: string, error: Error) => void): void {
    if (this.#retry !== null) return
    if (!this.#isFailing) report('Received data cannot be logged; nothing is acknowledged until it can', toError(error))
    this.#isFailing = true
    this.#retry = new Promise((resolve) => {
      const cancel = this.#clock.at(this.#clock.now() + RETRY_MS, () => this.#wakeRetry())
      this.#wakeRetry = () => {
        cancel()
        this.#retry = null
        resolve()
      }
    })
  }
}
