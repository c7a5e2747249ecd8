/** Starts and stops the receivers, in this thread or in threads of their own, and knows every block they stored. */
import type { BlockInfo } from '../../rdd/lineage.js'
import type { Receiver } from '../../receiver/receiver.js'
import { type BlockStore, type ReceiverEvents, ReceiverSupervisor } from '../../receiver/receiver-supervisor.js'
import type { BlockContent, BlockManager, KeptContent } from '../../storage/block-manager.js'
import { estimateBytes } from '../../storage/input-memory.js'
import type { Journal } from '../../storage/journal.js'
import { LentBytes } from '../../storage/lent-bytes.js'
import type { LoggedBlock } from '../../storage/logged-block.js'
import { recordsOf } from '../../storage/record-frames.js'
import type { SpillDirectory } from '../../storage/spill-directory.js'
import { readStored } from '../../storage/stored-bytes.js'
import type { Clock, Time } from '../../time.js'
import type { BlockGroups, LoggedInput, ReceiverHost, ReceiverListener } from '../engine.js'
import { BlockTurns } from './block-turns.js'
import { InputRoom, type Room } from './input-room.js'
import { ReceivedBlockTracker } from './received-block-tracker.js'
import { ReceivedLog } from './received-log.js'
import type { ReceiverThreads, RemoteStore } from './receiver-threads.js'

export interface ReceiverTrackerOptions {
  readonly clock: Clock
  readonly blocks: BlockManager
  readonly blockIntervalMs: number
  readonly blockQueueSize: number
  readonly restartDelayMs: number
  /** Bytes of received input that may wait to be processed; beyond them storing waits. */
  readonly memoryBytes: number
  /** Bytes that may wait in files before that, where the storage level has disk. */
  readonly diskBytes: number
  /** Where those files are. */
  readonly spill: SpillDirectory
  readonly ratePerSecond: number | null
  readonly listener: ReceiverListener
  /** Runs receivers in threads; null for this thread. */
  readonly threads: ReceiverThreads | null
  /** Resolves when tasks can run. Rejects when they never will. */
  readonly prepare: () => Promise<void>
}

type StoredContent = Extract<BlockContent, { type: 'stored' }>

/** A receiver, wherever it runs. */
export interface RunningReceiver {
  /** Resolves when it has been started, whatever came of it. Rejects when there is no place for it to run. */
  start(): Promise<void>
  setRate(ratePerSecond: number | null): void
  /** Resolves when it has ended and what it received is stored. */
  shutdown(): Promise<void>
}

export class ReceiverTracker implements ReceiverHost {
  readonly #options: ReceiverTrackerOptions
  readonly #tracker = new ReceivedBlockTracker()
  readonly #running = new Map<number, RunningReceiver>()
  readonly #room: InputRoom
  readonly #receivers = new Map<number, Receiver<unknown>>()
  /** The room of blocks that wait to be processed. */
  readonly #waiting = new Map<string, Room>()
  #nextBlock = 0
  #log: ReceivedLog | null = null

  constructor(options: ReceiverTrackerOptions) {
    this.#options = options
    this.#room = new InputRoom(options.memoryBytes, options.diskBytes)
  }

  /** Takes up what the journal holds; from now on a block is stored when it is logged. */
  useJournal(journal: Journal): void {
    const { state, directory } = journal
    this.takeUp({ directory, batches: state.batches, waiting: state.waiting.values() })
    this.#nextBlock = state.nextBlock
    this.#log = new ReceivedLog(journal, this.#options.clock)
  }

  /** Takes up what a log holds. */
  takeUp({ directory, batches, waiting }: LoggedInput): void {
    const keep = (logged: LoggedBlock): void => {
      const { block } = logged
      this.#options.blocks.put(block.id, inLog(logged, directory))
      this.#tracker.apply({ type: 'blockAdded', block: { ...block, locations: [0] } })
    }
    for (const [time, { blocks }] of batches) {
      blocks.forEach(keep)
      this.#tracker.apply({ type: 'batchAllocated', time, blocks: blocks.map(({ block }) => block) })
    }
    for (const block of waiting) keep(block)
  }

  async start(receivers: ReadonlyMap<number, Receiver<unknown>>): Promise<void> {
    const { clock, blockIntervalMs, blockQueueSize, restartDelayMs, ratePerSecond, listener, threads } = this.#options
    for (const [streamId, receiver] of receivers) {
      const name = receiver.constructor.name
      this.#receivers.set(streamId, receiver)
      const events: ReceiverEvents = {
        started: () => listener.receiverStarted({ streamId, name }),
        error: (message, error) => listener.receiverError({ streamId, name, message, error }),
        stopped: (message, error) => listener.receiverStopped({ streamId, name, message, error }),
      }
      const store = this.#storeOf(streamId)
      const settings = { streamId, blockIntervalMs, blockQueueSize, restartDelayMs, ratePerSecond }
      this.#running.set(
        streamId,
        threads === null
          ? new ReceiverSupervisor(receiver, { ...settings, clock, store, events })
          : threads.run(settings, store, events),
      )
    }
    await Promise.all([this.#options.prepare(), ...[...this.#running.values()].map((receiver) => receiver.start())])
  }

  async allocate(time: Time): Promise<ReadonlyMap<number, BlockGroups>> {
    const event = this.#tracker.allocation(time)
    if (event !== null) {
      // Logged first: after a crash the batch runs again with the same blocks.
      await this.#log?.allocated(time, event.blocks)
      this.#tracker.apply(event)
    }
    return this.#tracker.blocksOf(time)
  }

  get hasUnallocatedBlocks(): boolean {
    return this.#tracker.hasUnallocatedBlocks
  }

  setRate(streamId: number, ratePerSecond: number): void {
    this.#running.get(streamId)?.setRate(ratePerSecond)
  }

  async release(time: Time): Promise<void> {
    for (const block of this.#tracker.blocksBefore(time)) {
      this.#options.blocks.remove(block.id)
      this.#release(block.id)
    }
    this.#tracker.apply({ type: 'batchesForgotten', time })
    await this.#log?.forget(time)
  }

  processed(time: Time): void {
    for (const logged of this.#log?.blocksOf(time) ?? []) {
      const { id } = logged.block
      if (!this.#waiting.has(id)) continue
      this.#options.blocks.put(id, inLog(logged, this.#log!.directory))
      this.#release(id)
    }
  }

  #release(id: string): void {
    const room = this.#waiting.get(id)
    if (room === undefined) return
    this.#waiting.delete(id)
    room.account.release(room.bytes)
  }

  async stop(): Promise<void> {
    this.#room.lift()
    this.#log?.stopWaiting()
    await Promise.all([...this.#running.values()].map((receiver) => receiver.shutdown()))
    await this.#log?.stop()
  }

  #storeOf(streamId: number): BlockStore & RemoteStore {
    const report = (message: string, error: Error): void => {
      const name = this.#receivers.get(streamId)?.constructor.name ?? ''
      this.#options.listener.receiverError({ streamId, name, message, error })
    }
    const turns = new BlockTurns()
    return {
      storeRecords: (records) =>
        this.#add(turns, streamId, { type: 'records', records }, records.length, estimateBytes(records), report),
      storeBytes: ({ bytes, records, release }) => {
        const content: KeptContent = release
          ? { type: 'bytes', bytes, lent: new LentBytes(release) }
          : { type: 'bytes', bytes }
        return this.#add(turns, streamId, content, records, bytes.byteLength, report)
      },
      storeShared: ({ format, stored, records }) =>
        this.#add(turns, streamId, { type: 'stored', format, stored }, records, stored.length, report),
      confirmed: (tail) => this.#log?.confirmed(streamId, tail),
      unconfirmed: async () => (await this.#log?.unconfirmed(streamId)) ?? [],
      remembered: async (records) => (await this.#log?.remembered(streamId, records)) ?? [],
      status: (status) => this.#receivers.get(streamId)?.takeStatus(status),
    }
  }

  async #add(
    turns: BlockTurns,
    streamId: number,
    content: KeptContent | StoredContent,
    records: number,
    bytes: number,
    report: (message: string, error: Error) => void,
  ): Promise<void> {
    const { clock, blockIntervalMs, blocks } = this.#options
    const { room, block, logged } = await turns.entering.next(async () => {
      const kept = this.#log === null ? null : await toLog(content)
      const found = this.#room.take(bytes, this.#receivers.get(streamId)!.storageLevel)
      const room = found instanceof Promise ? await found : found
      const slot = Math.floor(clock.now() / blockIntervalMs)
      const id = `input-${streamId}-${this.#nextBlock++}`
      const block: BlockInfo = { id, streamId, records, bytes, slot, locations: [0] }
      // Not waited for before the next block enters: many are written at once.
      const logged = kept === null ? null : this.#log!.add(block, kept, report)
      // Its failure is told below, when it is this block's turn.
      logged?.catch(() => {})
      return { room, block, logged }
    })
    await turns.storing.next(async () => {
      try {
        if (logged !== null) await logged
        blocks.put(block.id, content)
        if (room.isInFile) await this.#toDisk(block.id, content)
      } catch (error) {
        blocks.remove(block.id)
        room.account.release(bytes)
        throw error
      }
      this.#waiting.set(block.id, room)
      this.#tracker.apply({ type: 'blockAdded', block })
    })
  }

  /** Moves a block from memory to the log, which has it already, or to a file. */
  async #toDisk(id: string, content: KeptContent | StoredContent): Promise<void> {
    const { blocks, spill } = this.#options
    const logged = this.#log?.waiting(id)
    if (logged !== undefined) blocks.put(id, inLog(logged, this.#log!.directory))
    else {
      const stored = await spill.write(content)
      blocks.put(id, { type: 'stored', format: content.type === 'stored' ? content.format : content.type, stored })
    }
  }
}

/** A block as the log takes it. */
async function toLog(content: KeptContent | StoredContent): Promise<KeptContent> {
  if (content.type !== 'stored') return content
  const bytes = await readStored(content.stored)
  return content.format === 'bytes' ? { type: 'bytes', bytes } : { type: 'records', records: recordsOf(bytes) }
}

function inLog({ position, format }: LoggedBlock, directory: string): BlockContent {
  return { type: 'logged', directory, position, format }
}
