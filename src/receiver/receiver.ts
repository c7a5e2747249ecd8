/** Receiver: the class a user extends to bring records into a stream. Spark's Receiver, with a promise where Spark blocks. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import type { StorageLevel } from '../rdd/storage-level.js'

/** What a receiver is attached to while it runs: the supervisor's side of every call below. */
export interface ReceiverSink<T> {
  readonly streamId: number
  /** Buffers one record into the current block; false when the source should pause until `drained` resolves. */
  store(record: T): boolean
  /** Resolves when a block of these records is stored as safely as the storage level and the log promise. */
  storeBlock(records: readonly T[]): Promise<void>
  /** Stores bytes the receiver reads back itself (see `Receiver.readBlock`); resolves as `storeBlock` does. */
  storeBytes(block: ReceivedBytes): Promise<void>
  /** The source is known to have its acknowledgements for all blocks given to `storeBytes` but the newest `tail`. */
  confirmed?(tail: number): void
  /** Blocks that earlier runs of the job stored with `storeBytes` and whose acknowledgement may not have arrived, oldest first. */
  unconfirmed?(): Promise<readonly Uint8Array[]>
  /** The newest blocks of earlier runs that the log still has, oldest first; from now on it keeps blocks with at least so many records. */
  remembered?(records: number): Promise<readonly Uint8Array[]>
  /** Resolves when `store` may be called again after it returned false. */
  drained(): Promise<void>
  restart(message: string, error: unknown, delayMs: number | null): void
  stop(message: string, error: unknown): void
  reportError(message: string, error: unknown): void
  readonly isStarted: boolean
  readonly isStopped: boolean
  /** Records per second this receiver may take now, or null when unlimited; `storeBytes` callers keep to it themselves. */
  readonly ratePerSecond: number | null
}

/** Records as bytes that only their receiver understands, such as MQTT frames kept as they came. */
export interface ReceivedBytes {
  readonly bytes: Uint8Array
  readonly records: number
  /**
   * To be called when nobody reads `bytes` any more: the receiver uses their memory again. Who never calls it only makes the receiver take new
   * memory. Absent where the memory is not used again.
   */
  readonly release?: (() => void) | undefined
}

/**
 * A source of records, running beside the blocks it fills. Extend it, start the source in `onStart`, close it in `onStop`, and
 * hand over what comes with `store`. Both are called again after `restart`; neither may block the thread. What the receiver's
 * timers and events throw, and no one catches, restarts it too; a promise that is rejected and that nobody awaited is reported.
 *
 * ```ts
 * import { Receiver, StorageLevel } from 'millrace'
 *
 * class Counter extends Receiver<number> {
 *   #timer?: NodeJS.Timeout
 *   constructor() { super(StorageLevel.MEMORY_ONLY) }
 *   onStart() { let n = 0; this.#timer = setInterval(() => this.store(n++), 10) }
 *   onStop() { clearInterval(this.#timer) }
 * }
 * ```
 */
export abstract class Receiver<T> {
  readonly storageLevel: StorageLevel
  #sink: ReceiverSink<T> | null = null

  constructor(storageLevel: StorageLevel) {
    this.storageLevel = storageLevel
  }

  /** Starts the source: opens connections, sets timers. A throw or a rejection is reported and the receiver restarted. */
  abstract onStart(): void | Promise<void>

  /** Stops what `onStart` started. A restart waits for the promise, so two sources never run at once. */
  abstract onStop(): void | Promise<void>

  /** The host this receiver would like to run on, or undefined for any. */
  get preferredLocation(): string | undefined {
    return undefined
  }

  /**
   * Buffers one record; it becomes part of the block that is cut at the next block interval. Returns false when the buffer is
   * at its bound or the rate limit is reached: the record is kept, but the source should pause until `drained()` resolves.
   * Not reliable by itself: acknowledge a source only after `storeBlock`. Throws `RECEIVER_NOT_ATTACHED` before the start.
   */
  store(record: T): boolean {
    return this.#attached('store').store(record)
  }

  /** Stores these records as one block; resolves when it is as safe as the storage level and the log promise, rejects otherwise. */
  storeBlock(records: readonly T[]): Promise<void> {
    return this.#attached('storeBlock').storeBlock(records)
  }

  /** Resolves when the source may go on after `store` returned false. */
  drained(): Promise<void> {
    return this.#attached('drained').drained()
  }

  /** Stops and starts the source again after `delayMs` (default `spark.streaming.receiverRestartDelay`, with back-off). Calls collapse into the restart in flight. */
  restart(message: string, error?: unknown, delayMs?: number): void {
    this.#attached('restart').restart(message, error, delayMs ?? null)
  }

  /** Stops this receiver for good. Spark's driver starts such a receiver again; to begin anew here, call `restart`. */
  stop(message: string, error?: unknown): void {
    this.#attached('stop').stop(message, error)
  }

  /** Reports an error to the driver's listeners and log; the receiver goes on. */
  reportError(message: string, error: unknown): void {
    this.#attached('reportError').reportError(message, error)
  }

  /** True from the moment `onStart` is called until the receiver stops. */
  isStarted(): boolean {
    return this.#attached('isStarted').isStarted
  }

  /** True once the receiver is stopping or stopped: the condition that ends a receiving loop. */
  isStopped(): boolean {
    return this.#attached('isStopped').isStopped
  }

  /** The number of the stream this receiver feeds, or -1 before it is attached. */
  get streamId(): number {
    return this.#sink?.streamId ?? -1
  }

  /** Stores bytes as one block; tasks read them back with `readBlock`. For sources whose records are decoded late. */
  protected storeBytes(block: ReceivedBytes): Promise<void> {
    return this.#attached('storeBytes').storeBytes(block)
  }

  /**
   * Says that the source is known to have its acknowledgements for all blocks stored with `storeBytes` but the newest `tail`.
   * After a crash the next run asks `unconfirmed` for the others, to recognise what the source sends again.
   */
  protected confirmed(tail: number): void {
    this.#attached('confirmed').confirmed?.(tail)
  }

  /** Blocks that earlier runs of the job stored with `storeBytes` and that the source may send again, oldest first. Empty without a log. */
  protected async unconfirmed(): Promise<readonly Uint8Array[]> {
    return (await this.#attached('unconfirmed').unconfirmed?.()) ?? []
  }

  /**
   * The newest blocks that earlier runs of the job stored with `storeBytes` and that the log still has, oldest first. From now on
   * it keeps blocks with at least so many records for this. Empty without a log.
   */
  protected async remembered(records: number): Promise<readonly Uint8Array[]> {
    return (await this.#attached('remembered').remembered?.(records)) ?? []
  }

  /** Records per second this receiver may take now, or null when unlimited. */
  protected get ratePerSecond(): number | null {
    return this.#attached('ratePerSecond').ratePerSecond
  }

  /**
   * Reads records back from bytes given to `storeBytes`, in chunks of a few hundred, inside the task that processes the block.
   * `batch` and `partition` are where it happens, for error texts.
   * @internal
   */
  readBlock(_bytes: Uint8Array): Iterable<readonly T[]> {
    throw new MillraceError('INTERNAL', `${this.constructor.name} stored bytes but has no readBlock.`)
  }

  /** How it is doing, as plain data, where it runs; null for nothing to tell. @internal */
  statusHere(): unknown {
    return null
  }

  /** In the driver: what `statusHere` said last where the receiver runs, null when that is gone. @internal */
  takeStatus(_status: unknown): void {}

  /** Connects the receiver to its supervisor. @internal */
  attach(sink: ReceiverSink<T>): void {
    this.#sink = sink
  }

  #attached(call: string): ReceiverSink<T> {
    if (this.#sink === null) {
      throw new MillraceError(
        'RECEIVER_NOT_ATTACHED',
        `${this.constructor.name}.${call} was called before the receiver was started. A receiver works only while its StreamingContext runs it.`,
      )
    }
    return this.#sink
  }
}

/** Throws `ILLEGAL_ARGUMENT` for what is no whole receiver, and for one that feeds a stream already. `others` are those of its context. */
export function assertNewReceiver(receiver: Receiver<unknown>, others: Iterable<Receiver<unknown>>): void {
  if (typeof receiver?.attach !== 'function') {
    throw new MillraceError('ILLEGAL_ARGUMENT', `receiverStream needs a Receiver, not ${kindOf(receiver)}.`)
  }
  const { name } = receiver.constructor
  for (const method of ['onStart', 'onStop'] as const) {
    if (typeof receiver[method] === 'function') continue
    throw new MillraceError('ILLEGAL_ARGUMENT', `${name} has no ${method}; a receiver needs both onStart and onStop.`)
  }
  if (receiver.streamId !== -1 || [...others].includes(receiver)) {
    throw new MillraceError('ILLEGAL_ARGUMENT', `This ${name} already feeds a stream; make one receiver per stream.`)
  }
}
