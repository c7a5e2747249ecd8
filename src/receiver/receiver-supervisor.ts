/**
 * Runs one receiver: starts it, restarts it when its source fails, stops it, and stands between it and the block store.
 *
 *   initialized → started ⇄ restarting → stopped
 *
 * One restart is in flight at a time: calls that come meanwhile are reported and collapse into it. `onStart` is called only
 * after the promise of the last `onStop` has settled, so two sources never run at once.
 */
import { MillraceError, toError } from '../errors.js'
import type { Clock } from '../time.js'
import { BlockGenerator } from './block-generator.js'
import { RateLimiter } from './rate-limiter.js'
import type { ReceivedBytes, Receiver, ReceiverSink } from './receiver.js'
import { ownsFaults } from './receiver-faults.js'

/** Where blocks go. Each call resolves when the block is as safe as the storage level and the log promise. */
export interface BlockStore {
  storeRecords(records: readonly unknown[]): Promise<void>
  storeBytes(block: ReceivedBytes): Promise<void>
  /** See `ReceiverSink.confirmed`. Absent where nothing outlives the process. */
  confirmed?(tail: number): void
  /** See `ReceiverSink.unconfirmed`. Absent where nothing outlives the process. */
  unconfirmed?(): Promise<readonly Uint8Array[]>
  /** See `ReceiverSink.remembered`. Absent where nothing outlives the process. */
  remembered?(records: number): Promise<readonly Uint8Array[]>
}

/** What happens to a receiver, for whoever listens. */
export interface ReceiverEvents {
  /** Before each call of `onStart`. */
  started(): void
  error(message: string, error: Error): void
  stopped(message: string, error: Error | null): void
}

export interface SupervisorOptions {
  readonly streamId: number
  readonly clock: Clock
  readonly blockIntervalMs: number
  readonly blockQueueSize: number
  readonly restartDelayMs: number
  readonly ratePerSecond: number | null
  readonly store: BlockStore
  readonly events: ReceiverEvents
}

/** Restart delays double up to this, and start anew once the receiver has run for as long. */
const restartDelayMaxMs = 60_000

/** How long a stop waits for the receiver. */
const stopMaxMs = 10_000

export class ReceiverSupervisor<T = unknown> implements ReceiverSink<T> {
  readonly streamId: number
  readonly #receiver: Receiver<T>
  readonly #options: SupervisorOptions
  readonly #generator: BlockGenerator<T>
  readonly #limiter: RateLimiter
  #state: 'initialized' | 'started' | 'restarting' | 'stopped' = 'initialized'
  /** Everything done to the receiver, one after the other. */
  #work: Promise<void> = Promise.resolve()
  #ended: Promise<void> = Promise.resolve()
  #startedAt = 0
  #failures = 0
  #cancelDelay: () => void = () => {}

  constructor(receiver: Receiver<T>, options: SupervisorOptions) {
    this.#receiver = receiver
    this.#options = options
    this.streamId = options.streamId
    this.#limiter = new RateLimiter(options.clock, options.ratePerSecond)
    this.#generator = new BlockGenerator<T>({
      clock: options.clock,
      blockIntervalMs: options.blockIntervalMs,
      queueSize: options.blockQueueSize,
      limiter: this.#limiter,
      store: (records) => options.store.storeRecords(records),
      onError: (message, error) => this.reportError(message, error),
    })
    receiver.attach(this)
  }

  /** Starts the receiver; resolves when `onStart` has returned, whatever came of it. */
  async start(): Promise<void> {
    this.#generator.start()
    this.#state = 'started'
    await this.#then(() => this.#startReceiver())
  }

  /** Stops the receiver for good; resolves when `onStop` is done, or given up after ten seconds, and what it received is stored. */
  async shutdown(): Promise<void> {
    this.#stopWith('The streaming context is stopping', null)
    await this.#ended
  }

  setRate(ratePerSecond: number | null): void {
    this.#limiter.setRate(ratePerSecond)
  }

  // What the receiver calls

  store(record: T): boolean {
    return this.#generator.add(record)
  }

  storeBlock(records: readonly T[]): Promise<void> {
    return this.#options.store.storeRecords(records)
  }

  storeBytes(block: ReceivedBytes): Promise<void> {
    return this.#options.store.storeBytes(block)
  }

  confirmed(tail: number): void {
    this.#options.store.confirmed?.(tail)
  }

  async unconfirmed(): Promise<readonly Uint8Array[]> {
    return (await this.#options.store.unconfirmed?.()) ?? []
  }

  async remembered(records: number): Promise<readonly Uint8Array[]> {
    return (await this.#options.store.remembered?.(records)) ?? []
  }

  drained(): Promise<void> {
    return this.#generator.drained()
  }

  restart(message: string, error: unknown, delayMs: number | null): void {
    if (this.#state === 'stopped') return
    this.reportError(message, error ?? new MillraceError('RECEIVER_FAILED', message))
    if (this.#state === 'restarting') return
    this.#state = 'restarting'
    void this.#then(async () => {
      await this.#stopReceiver()
      await this.#delay(delayMs ?? this.#nextDelayMs())
      if (this.isStopped) return
      this.#state = 'started'
      await this.#startReceiver()
    })
  }

  stop(message: string, error: unknown): void {
    this.#stopWith(message, error === undefined || error === null ? null : toError(error))
  }

  reportError(message: string, error: unknown): void {
    this.#options.events.error(message, toError(error))
  }

  get isStarted(): boolean {
    return this.#state === 'started'
  }

  get isStopped(): boolean {
    return this.#state === 'stopped'
  }

  get ratePerSecond(): number | null {
    return this.#limiter.ratePerSecond
  }

  async #startReceiver(): Promise<void> {
    this.#startedAt = this.#options.clock.now()
    // First, as in Spark: a receiver may report errors, and stop itself, before its onStart returns.
    this.#options.events.started()
    try {
      await ownsFaults(this as ReceiverSupervisor<unknown>, () => this.#receiver.onStart())
    } catch (error) {
      this.restart(`${this.#receiver.constructor.name}.onStart failed`, error, null)
    }
  }

  async #stopReceiver(): Promise<void> {
    try {
      await ownsFaults(this as ReceiverSupervisor<unknown>, () => this.#receiver.onStop())
    } catch (error) {
      this.reportError(`${this.#receiver.constructor.name}.onStop failed`, error)
    }
  }

  #stopWith(message: string, error: Error | null): void {
    if (this.#state === 'stopped') return
    const wasRunning = this.#state === 'started'
    this.#state = 'stopped'
    this.#cancelDelay()
    const stopped = this.#then(async () => {
      if (wasRunning) await this.#stopReceiver()
    })
    this.#ended = this.#end(stopped, message, error)
  }

  async #end(receiverStopped: Promise<void>, message: string, error: Error | null): Promise<void> {
    const { clock, events } = this.#options
    const late = new Promise<'late'>((resolve) => {
      const cancel = clock.at(clock.now() + stopMaxMs, () => resolve('late'))
      void receiverStopped.then(cancel)
    })
    if ((await Promise.race([receiverStopped, late])) === 'late') {
      this.reportError(
        `${this.#receiver.constructor.name} does not stop; nothing waits for it any more`,
        new MillraceError(
          'RECEIVER_FAILED',
          `The promise of its onStop, or of onStart before it, has not settled within ${stopMaxMs / 1000} s.`,
        ),
      )
    }
    await this.#generator.stop()
    events.stopped(message, error)
  }

  #nextDelayMs(): number {
    const { clock, restartDelayMs } = this.#options
    if (clock.now() - this.#startedAt >= restartDelayMaxMs) this.#failures = 0
    return Math.min(restartDelayMs * 2 ** this.#failures++, restartDelayMaxMs)
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { clock } = this.#options
      const cancel = clock.at(clock.now() + ms, resolve)
      this.#cancelDelay = () => {
        cancel()
        resolve()
      }
    })
  }

  #then(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step)
    return this.#work
  }
}
