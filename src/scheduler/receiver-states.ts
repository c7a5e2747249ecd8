/** What is known of each receiver, for listeners and the log. */
import type { ReceiverListener, ReceiverState } from '../engine/engine.js'
import type { Log } from '../log.js'
import type { Time } from '../time.js'
import { thrownAt } from '../user-frames.js'
import type { ListenerBus, ReceiverInfo } from './streaming-listener.js'

export class ReceiverStates implements ReceiverListener {
  readonly #bus: ListenerBus
  readonly #log: Log
  readonly #now: () => Time
  readonly #infos = new Map<number, ReceiverInfo>()

  constructor(bus: ListenerBus, log: Log, now: () => Time) {
    this.#bus = bus
    this.#log = log
    this.#now = now
  }

  receiverStarted(receiver: ReceiverState): void {
    this.#bus.post('onReceiverStarted', this.#change(receiver, { active: true }))
    this.#log.info('Receiver started', { ...receiver })
  }

  receiverError(failure: ReceiverState & { readonly message: string; readonly error: Error }): void {
    this.#bus.post('onReceiverError', this.#change(failure, this.#lastError(failure.message, failure.error)))
    const { message, streamId, name, error } = failure
    this.#log.warn(message, { stream: streamId, receiver: name, error, ...thrownAt(error) })
  }

  receiverStopped(end: ReceiverState & { readonly message: string; readonly error: Error | null }): void {
    const error = end.error === null ? { lastErrorMessage: end.message } : this.#lastError(end.message, end.error)
    this.#bus.post('onReceiverStopped', this.#change(end, { active: false, ...error }))
    const fields = { stream: end.streamId, receiver: end.name }
    if (end.error === null) this.#log.info(`Receiver stopped: ${end.message}`, fields)
    else this.#log.error(`Receiver stopped: ${end.message}`, { ...fields, error: end.error, ...thrownAt(end.error) })
  }

  #lastError(message: string, error: Error): Partial<ReceiverInfo> {
    return { lastErrorMessage: message, lastError: error.message, lastErrorTime: this.#now() }
  }

  #change({ streamId, name }: ReceiverState, change: Partial<ReceiverInfo>): ReceiverInfo {
    const known = this.#infos.get(streamId) ?? {
      streamId,
      name: `${name}-${streamId}`,
      active: false,
      lastErrorMessage: '',
      lastError: '',
      lastErrorTime: -1,
    }
    const info = { ...known, ...change }
    this.#infos.set(streamId, info)
    return info
  }
}
