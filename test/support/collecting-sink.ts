/** A receiver's supervisor, as small as it can be: keeps blocks, decodes them as a task would, and lets a test delay or refuse storage. */
import type { ReceivedBytes, Receiver, ReceiverSink } from '../../src/receiver/receiver.js'

interface Report {
  readonly message: string
  readonly error: unknown
}

export class CollectingSink<T> implements ReceiverSink<T> {
  readonly streamId = 0
  readonly blocks: Uint8Array[] = []
  readonly reports: Report[] = []
  readonly stops: Report[] = []
  readonly restarts: Report[] = []
  readonly records: T[] = []
  messages = 0
  isStarted = true
  isStopped = false
  ratePerSecond: number | null = null
  /** Called for each block before it counts as stored. */
  storing: (block: ReceivedBytes) => Promise<void> = async () => {}
  /** True: keep blocks, do not decode. */
  isRaw = false
  readonly #receiver: Receiver<T>
  #waiters: (() => void)[] = []

  constructor(receiver: Receiver<T>) {
    this.#receiver = receiver
    receiver.attach(this)
  }

  store(record: T): boolean {
    this.records.push(record)
    this.#wake()
    return true
  }

  async storeBlock(records: readonly T[]): Promise<void> {
    for (const record of records) this.store(record)
  }

  async storeBytes(block: ReceivedBytes): Promise<void> {
    await this.storing(block)
    this.messages += block.records
    if (this.isRaw) this.blocks.push(block.bytes)
    else
      for (const chunk of this.#receiver.readBlock(block.bytes)) for (const record of chunk) this.records.push(record)
    this.#wake()
  }

  async drained(): Promise<void> {}

  restart(message: string, error: unknown): void {
    this.restarts.push({ message, error })
    this.#wake()
  }

  stop(message: string, error: unknown): void {
    this.stops.push({ message, error })
    this.isStopped = true
    this.#wake()
  }

  reportError(message: string, error: unknown): void {
    this.reports.push({ message, error })
    this.#wake()
  }

  /** Resolves when `condition` holds; it is looked at after every call the receiver makes, and now and then. */
  async until(condition: () => boolean, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!condition()) {
      if (Date.now() > deadline) {
        throw new Error(
          `Not so within ${timeoutMs} ms: ${condition}. ${this.messages} messages, ${this.reports.length} reports, the last: ${JSON.stringify(this.reports.slice(-3).map((one) => `${one.message}: ${String(one.error)}`))}`,
        )
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 20)
        this.#waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  /** Codes of the errors reported so far. */
  get codes(): unknown[] {
    return this.reports.map((report) => (report.error as { code?: unknown } | null)?.code)
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
