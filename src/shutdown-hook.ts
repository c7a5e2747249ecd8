/** What SIGINT and SIGTERM do to a process whose job runs: the first stops the job, a second ends the process. Spark's shutdown hook. */

const signals = ['SIGINT', 'SIGTERM'] as const

/** A signal that comes again within this time is the same one: npm passes on the Ctrl-C that the terminal has sent to everyone already. */
const echoMs = 500
/** A stop that takes longer than this is worth a word. */
const slowMs = 1000
/** How long a program may go on once its job has stopped, before the signal ends it after all. */
const lingerMs = 5000

export interface ShutdownHookOptions {
  /** Begins to stop what runs; null when nothing runs yet. */
  readonly stop: () => Promise<unknown> | null
  /** Ends the process: nothing runs, a second signal came, or the program goes on five seconds after the stop. */
  readonly end: (signal: NodeJS.Signals) => void
  /** Called once when the stop takes longer than a second. */
  readonly onSlow: () => void
}

export class ShutdownHook {
  readonly #options: ShutdownHookOptions
  #first: { readonly signal: NodeJS.Signals; readonly time: number } | null = null
  #isDone = false

  constructor(options: ShutdownHookOptions) {
    this.#options = options
  }

  /** True when the program minds its signals itself. */
  static get isTaken(): boolean {
    return signals.some((signal) => process.listenerCount(signal) > 0)
  }

  install(): void {
    for (const signal of signals) process.on(signal, this.#onSignal)
  }

  /** From now on signals do what they did before. */
  remove(): void {
    this.#isDone = true
    for (const signal of signals) process.off(signal, this.#onSignal)
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const { stop, end, onSlow } = this.#options
    const time = performance.now()
    if (this.#first !== null) {
      if (signal !== this.#first.signal || time - this.#first.time >= echoMs) end(signal)
      return
    }
    const stopping = stop()
    if (stopping === null) {
      end(signal)
      return
    }
    this.#first = { signal, time }
    setTimeout(() => this.#isDone || onSlow(), slowMs).unref()
    // What stopped it is told to whoever awaits the termination.
    const linger = (): void => void setTimeout(end, lingerMs, signal).unref()
    stopping.then(linger, linger)
  }
}
