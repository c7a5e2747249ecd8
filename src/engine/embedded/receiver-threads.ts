/** The threads that run receivers on `local[N]`, N at most, beside the N that run tasks. A lost one is replaced, and its receivers start again. */
import { assertNever, type ErrorData, errorFromData, errorToData, MillraceError, toError } from '../../errors.js'
import type { ReceiverEvents } from '../../receiver/receiver-supervisor.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'
import { assertSameShape } from '../graph-functions.js'
import type { ThreadStart } from './messages.js'
import type {
  BlockToStore,
  FromReceiverThread,
  ReceiverSettings,
  StoreAnswer,
  ToReceiverThread,
} from './receiver-messages.js'
import type { RunningReceiver } from './receiver-tracker.js'
import type { TaskReporter } from './task-reporter.js'
import { WorkerThread } from './worker-thread.js'

/** What a receiver in a thread needs of the driver. */
export interface RemoteStore {
  /** Resolves when the block is as safe as promised. */
  storeShared(block: { format: 'records' | 'bytes'; stored: StoredBytes; records: number }): Promise<void>
  confirmed(tail: number): void
  unconfirmed(): Promise<readonly Uint8Array[]>
  remembered(records: number): Promise<readonly Uint8Array[]>
  /** How the receiver is doing; null when its thread is lost. */
  status(status: unknown): void
}

export interface ReceiverThreadsOptions {
  readonly threadsMax: number
  readonly start: Omit<ThreadStart, 'id'>
  readonly shape: () => readonly string[]
  /** Notes whose memory a block is in, and the way back for it. */
  readonly own: (stored: StoredBytes, thread: number) => void
  /** The number for the next thread. */
  readonly nextId: () => number
  readonly reporter: TaskReporter
}

interface Assigned {
  readonly settings: ReceiverSettings
  readonly store: RemoteStore
  readonly events: ReceiverEvents
  /** Settles when the receiver has been stopped for good. */
  ended: (() => void) | null
}

interface Host {
  readonly id: number
  readonly thread: WorkerThread<ToReceiverThread, FromReceiverThread>
  readonly streams: Map<number, Assigned>
  readonly ready: Promise<void>
  spare: SharedArrayBuffer[]
  /** Not sent yet. */
  answers: StoreAnswer[]
}

/** A thread that dies again within this time of its start is replaced after a delay that doubles each time. */
const stableMs = 60_000
const delayMaxMs = 60_000

export class ReceiverThreads {
  readonly #options: ReceiverThreadsOptions
  readonly #hosts: Host[] = []
  #failures = 0
  #lastLoss = 0
  #isClosed = false
  readonly #delays = new Set<NodeJS.Timeout>()

  constructor(options: ReceiverThreadsOptions) {
    this.#options = options
  }

  /** A receiver that will run in the thread with the fewest, or in a new one while there may be more. */
  run(settings: ReceiverSettings, store: RemoteStore, events: ReceiverEvents): RunningReceiver {
    const assigned: Assigned = { settings, store, events, ended: null }
    const { streamId } = settings
    return {
      start: () => this.#place(assigned),
      setRate: (ratePerSecond) => this.#hostOf(streamId)?.thread.post({ type: 'setRate', streamId, ratePerSecond }),
      shutdown: async () => {
        const host = this.#hostOf(streamId)
        if (host === undefined) return
        await new Promise<void>((resolve) => {
          assigned.ended = resolve
          host.thread.post({ type: 'stop', streamId })
        })
      },
    }
  }

  /** Takes back memory of a thread, with the next answer. */
  giveBack(thread: number, memory: SharedArrayBuffer): void {
    this.#hosts.find((host) => host.id === thread)?.spare.push(memory)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const delay of this.#delays) clearTimeout(delay)
    const reason = new MillraceError('EXECUTOR_LOST', 'The engine is closing.')
    await Promise.all(this.#hosts.map((host) => host.thread.terminate(reason)))
  }

  async #place(assigned: Assigned): Promise<void> {
    const host = this.#choose()
    host.streams.set(assigned.settings.streamId, assigned)
    await host.ready
    host.thread.post({ type: 'start', receiver: assigned.settings })
  }

  #choose(): Host {
    if (this.#hosts.length < this.#options.threadsMax) {
      const idle = this.#hosts.find((host) => host.streams.size === 0)
      return idle ?? this.#spawn()
    }
    return this.#hosts.reduce((a, b) => (b.streams.size < a.streams.size ? b : a))
  }

  #hostOf(streamId: number): Host | undefined {
    return this.#hosts.find((host) => host.streams.has(streamId))
  }

  #spawn(): Host {
    const { start, shape, nextId, reporter } = this.#options
    const id = nextId()
    let loaded: { resolve(): void; reject(error: Error): void } | null = null
    const ready = new Promise<void>((resolve, reject) => {
      loaded = { resolve, reject }
    })
    // Whoever places a receiver sees the failure; without one, nobody needs to.
    ready.catch(() => {})
    const settle = loaded as unknown as { resolve(): void; reject(error: Error): void }
    const thread = new WorkerThread<ToReceiverThread, FromReceiverThread>({
      kind: 'receiver thread',
      id,
      entry: new URL('./receiver-worker.js', import.meta.url),
      start: { ...start, id } satisfies ThreadStart,
      heapBytes: start.heapBytes,
      onMessage: (message) => {
        if (message.type === 'loadFailed') settle.reject(errorFromData(message.error))
        else if (message.type !== 'ready') this.#take(host, message)
        else {
          try {
            assertSameShape(shape(), message.shape)
            reporter.executorAdded(id, 'receivers')
            settle.resolve()
          } catch (error) {
            settle.reject(toError(error))
          }
        }
      },
      onLost: (error) => {
        settle.reject(error)
        this.#lost(host, error)
      },
    })
    const host: Host = { id, thread, streams: new Map(), ready, spare: [], answers: [] }
    this.#hosts.push(host)
    return host
  }

  /** Sends a receiver the blocks it asked for. One that cannot be read is reported as what it is when a batch reads it. */
  #answer(host: Host, call: number, asked: Promise<readonly Uint8Array[]>): void {
    asked.then(
      (blocks) => host.thread.post({ type: 'earlierBlocks', call, blocks, error: null }),
      (error: unknown) =>
        host.thread.post({ type: 'earlierBlocks', call, blocks: [], error: errorToData(toError(error)) }),
    )
  }

  #take(host: Host, message: Exclude<FromReceiverThread, { type: 'ready' | 'loadFailed' }>): void {
    if (message.type === 'store') {
      for (const block of message.blocks) void this.#store(host, block)
      return
    }
    const assigned = host.streams.get(message.streamId)
    if (assigned === undefined) return
    const { store, events } = assigned
    switch (message.type) {
      case 'confirmed':
        store.confirmed(message.tail)
        return
      case 'unconfirmed':
        this.#answer(host, message.call, store.unconfirmed())
        return
      case 'remembered':
        this.#answer(host, message.call, store.remembered(message.records))
        return
      case 'receiverStarted':
        events.started()
        return
      case 'receiverStatus':
        store.status(message.status)
        return
      case 'receiverError':
        events.error(message.message, errorFromData(message.error))
        return
      case 'receiverStopped':
        events.stopped(message.message, message.error === null ? null : errorFromData(message.error))
        return
      case 'receiverEnded':
        assigned.ended?.()
        return
      default:
        assertNever(message)
    }
  }

  async #store(host: Host, { call, streamId, format, stored, records }: BlockToStore): Promise<void> {
    const store = host.streams.get(streamId)?.store
    if (store === undefined) return
    this.#options.own(stored, host.id)
    let error: ErrorData | null = null
    try {
      await store.storeShared({ format, stored, records })
    } catch (thrown) {
      error = errorToData(toError(thrown))
    }
    if (host.answers.push({ call, error }) === 1) setImmediate(() => this.#sendAnswers(host))
  }

  /** Answers what has been stored within one turn of the loop. */
  #sendAnswers(host: Host): void {
    const { answers, spare } = host
    host.answers = []
    host.spare = []
    host.thread.post({ type: 'stored', answers, memory: spare })
  }

  /** What was stored is in memory that outlives the thread; what was not has not been acknowledged, and comes again. */
  #lost(host: Host, error: MillraceError): void {
    this.#hosts.splice(this.#hosts.indexOf(host), 1)
    if (!this.#isClosed) this.#options.reporter.executorRemoved(host.id, 'receivers', error)
    const now = Date.now()
    if (now - this.#lastLoss > stableMs) this.#failures = 0
    this.#lastLoss = now
    for (const assigned of host.streams.values()) {
      assigned.ended?.()
      if (this.#isClosed || assigned.ended !== null) continue
      assigned.store.status(null)
      assigned.events.error('The thread of the receiver was lost; it starts again in another', error)
      this.#again(assigned)
    }
  }

  #again(assigned: Assigned): void {
    const { restartDelayMs } = assigned.settings
    const delay = setTimeout(
      () => {
        this.#delays.delete(delay)
        if (this.#isClosed) return
        this.#place(assigned).catch((error: unknown) => {
          // A thread that is lost while it loads is told to `#lost` as well.
          if (MillraceError.is(error, 'EXECUTOR_LOST')) return
          assigned.events.error('The receiver could not be started again', toError(error))
        })
      },
      this.#failures === 0 ? 0 : Math.min(restartDelayMs * 2 ** (this.#failures - 1), delayMaxMs),
    )
    this.#failures++
    this.#delays.add(delay)
  }
}
