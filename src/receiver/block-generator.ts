/**
 * Turns single records into blocks: every block interval, what was buffered becomes one block and goes to the store.
 *
 *   initialized → active → stopping (takes no more, stores what it has) → stopped
 *
 * At most `queueSize` blocks wait for the store. When they do, or when the receiver is ahead of its rate, `add` returns
 * false: the record is kept, and the source waits for `drained()`.
 */
import { MillraceError } from '../errors.js'
import type { Clock } from '../time.js'
import type { RateLimiter } from './rate-limiter.js'

export interface BlockGeneratorOptions<T> {
  readonly clock: Clock
  readonly blockIntervalMs: number
  /** Blocks that may wait for the store. */
  readonly queueSize: number
  readonly limiter: RateLimiter
  /** Stores one block; blocks are given one at a time, in order. A rejection goes to `onError` and the block is tried again. */
  readonly store: (records: readonly T[]) => Promise<void>
  readonly onError: (message: string, error: unknown) => void
}

/** How long a block that could not be stored waits before the next attempt. */
const retryDelayMs = 1000

export class BlockGenerator<T> {
  readonly #options: BlockGeneratorOptions<T>
  #state: 'initialized' | 'active' | 'stopping' | 'stopped' = 'initialized'
  #buffer: T[] = []
  readonly #queue: (readonly T[])[] = []
  #cancelTick: () => void = () => {}
  #storing: Promise<void> | null = null
  #waiting: (() => void)[] = []

  constructor(options: BlockGeneratorOptions<T>) {
    this.#options = options
  }

  /** Starts cutting blocks at every multiple of the block interval. Throws `ILLEGAL_STATE` when started before. */
  start(): void {
    if (this.#state !== 'initialized')
      throw new MillraceError('ILLEGAL_STATE', `A block generator that is ${this.#state} cannot start.`)
    this.#state = 'active'
    this.#scheduleTick()
  }

  /** Buffers a record; false when the source should wait for `drained()`. Throws `ILLEGAL_STATE` unless active. */
  add(record: T): boolean {
    if (this.#state !== 'active') {
      throw new MillraceError('ILLEGAL_STATE', `Cannot add data: the block generator is ${this.#state}.`)
    }
    this.#buffer.push(record)
    return this.#options.limiter.take(1) && this.#queue.length < this.#options.queueSize
  }

  /** Resolves when the queue has room and the rate allows another record, or the generator stops. */
  async drained(): Promise<void> {
    const { clock, limiter, queueSize } = this.#options
    while (this.#state === 'active') {
      if (this.#queue.length >= queueSize) await new Promise<void>((resolve) => this.#waiting.push(resolve))
      else if (limiter.readyAt > clock.now()) await this.#until(limiter.readyAt)
      else return
    }
  }

  /** Takes no more records; resolves when everything buffered is stored. */
  async stop(): Promise<void> {
    if (this.#state === 'active') {
      this.#state = 'stopping'
      this.#cancelTick()
      this.#cut()
      this.#wakeWaiting()
    }
    await this.#storing
    this.#state = 'stopped'
  }

  #until(time: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.at(time, resolve)
      this.#waiting.push(() => {
        cancel()
        resolve()
      })
    })
  }

  #scheduleTick(): void {
    const { clock, blockIntervalMs } = this.#options
    const next = (Math.floor(clock.now() / blockIntervalMs) + 1) * blockIntervalMs
    this.#cancelTick = clock.at(next, () => {
      this.#cut()
      this.#scheduleTick()
    })
  }

  #cut(): void {
    if (this.#buffer.length === 0) return
    this.#queue.push(this.#buffer)
    this.#buffer = []
    this.#storing ??= this.#storeQueue().finally(() => {
      this.#storing = null
    })
  }

  async #storeQueue(): Promise<void> {
    for (let block = this.#queue[0]; block !== undefined; block = this.#queue[0]) {
      try {
        await this.#options.store(block)
        this.#queue.shift()
        this.#wakeWaiting()
      } catch (error) {
        if (this.#state !== 'active') {
          // The receiver is being stopped and would otherwise wait for a store that does not work for as long as it does not.
          const lost = this.#queue.splice(0).reduce((sum, records) => sum + records.length, 0)
          this.#options.onError(`${lost} records could not be stored before the receiver stopped`, error)
          return
        }
        this.#options.onError(
          `A block of ${block.length} records could not be stored; trying again in ${retryDelayMs} ms`,
          error,
        )
        await this.#until(this.#options.clock.now() + retryDelayMs)
      }
    }
  }

  #wakeWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
