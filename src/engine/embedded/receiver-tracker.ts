/** Runs the receivers of master `local` in this thread and knows every block they stored. */
import type { BlockInfo } from '../../rdd/lineage.js'
import type { Receiver } from '../../receiver/receiver.js'
import { type BlockStore, type ReceiverEvents, ReceiverSupervisor } from '../../receiver/receiver-supervisor.js'
import type { BlockContent, BlockManager } from '../../storage/block-manager.js'
import { estimateBytes, InputMemory } from '../../storage/input-memory.js'
import type { Clock, Time } from '../../time.js'
import type { BlockGroups, ReceiverHost, ReceiverListener } from '../engine.js'
import { ReceivedBlockTracker } from './received-block-tracker.js'

export interface ReceiverTrackerOptions {
  readonly clock: Clock
  readonly blocks: BlockManager
  readonly blockIntervalMs: number
  readonly blockQueueSize: number
  readonly restartDelayMs: number
  /** Bytes of received input that may wait to be processed; beyond them storing waits. */
  readonly memoryBytes: number
  readonly ratePerSecond: number | null
  readonly listener: ReceiverListener
}

export class ReceiverTracker implements ReceiverHost {
  readonly #options: ReceiverTrackerOptions
  readonly #tracker = new ReceivedBlockTracker()
  readonly #supervisors = new Map<number, ReceiverSupervisor>()
  readonly #memory: InputMemory
  #nextBlock = 0

  constructor(options: ReceiverTrackerOptions) {
    this.#options = options
    this.#memory = new InputMemory(options.memoryBytes)
  }

  async start(receivers: ReadonlyMap<number, Receiver<unknown>>): Promise<void> {
    const { clock, blockIntervalMs, blockQueueSize, restartDelayMs, ratePerSecond, listener } = this.#options
    for (const [streamId, receiver] of receivers) {
      const name = receiver.constructor.name
      const events: ReceiverEvents = {
        started: () => listener.receiverStarted({ streamId, name }),
        error: (message, error) => listener.receiverError({ streamId, name, message, error }),
        stopped: (message, error) => listener.receiverStopped({ streamId, name, message, error }),
      }
      const store = this.#storeOf(streamId)
      const options = { streamId, clock, blockIntervalMs, blockQueueSize, restartDelayMs, ratePerSecond, store, events }
      this.#supervisors.set(streamId, new ReceiverSupervisor(receiver, options))
    }
    await Promise.all([...this.#supervisors.values()].map((supervisor) => supervisor.start()))
  }

  async allocate(time: Time): Promise<ReadonlyMap<number, BlockGroups>> {
    const event = this.#tracker.allocation(time)
    if (event !== null) this.#tracker.apply(event)
    return this.#tracker.blocksOf(time)
  }

  get hasUnallocatedBlocks(): boolean {
    return this.#tracker.hasUnallocatedBlocks
  }

  setRate(streamId: number, ratePerSecond: number): void {
    this.#supervisors.get(streamId)?.setRate(ratePerSecond)
  }

  async release(time: Time): Promise<void> {
    for (const block of this.#tracker.blocksBefore(time)) {
      this.#options.blocks.remove(block.id)
      this.#memory.release(block.bytes)
    }
    this.#tracker.apply({ type: 'batchesForgotten', time })
  }

  async stop(): Promise<void> {
    this.#memory.lift()
    await Promise.all([...this.#supervisors.values()].map((supervisor) => supervisor.shutdown()))
  }

  #storeOf(streamId: number): BlockStore {
    return {
      storeRecords: (records) =>
        this.#add(streamId, { type: 'records', records }, records.length, estimateBytes(records)),
      storeBytes: ({ bytes, records }) => this.#add(streamId, { type: 'bytes', bytes }, records, bytes.byteLength),
    }
  }

  async #add(streamId: number, content: BlockContent, records: number, bytes: number): Promise<void> {
    const room = this.#memory.reserve(bytes)
    if (room !== null) await room
    const slot = Math.floor(this.#options.clock.now() / this.#options.blockIntervalMs)
    const id = `input-${streamId}-${this.#nextBlock++}`
    const block: BlockInfo = { id, streamId, records, bytes, slot, locations: [0] }
    this.#options.blocks.put(block.id, content)
    this.#tracker.apply({ type: 'blockAdded', block })
  }
}
