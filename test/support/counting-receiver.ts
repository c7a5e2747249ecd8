/** A receiver that counts, slowly, and that finishes its work before it lets itself be stopped. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Receiver, StorageLevel } from 'millrace'

export class CountingReceiver extends Receiver<number> {
  readonly #records: number
  readonly #pauseMs: number
  /** Resolves when the first record is stored. */
  readonly begun: Promise<void>
  #begin: () => void = () => {}
  #working: Promise<void> = Promise.resolve()

  constructor(records: number, pauseMs: number) {
    super(StorageLevel.MEMORY_ONLY)
    this.#records = records
    this.#pauseMs = pauseMs
    this.begun = new Promise((resolve) => {
      this.#begin = resolve
    })
  }

  override onStart(): void {
    this.#working = this.#work()
  }

  override async onStop(): Promise<void> {
    await this.#working
  }

  async #work(): Promise<void> {
    for (let n = 0; n < this.#records; n++) {
      this.store(n)
      this.#begin()
      await sleep(this.#pauseMs)
    }
  }
}
