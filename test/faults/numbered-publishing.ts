/** Numbered messages to the topic `kill`, each with its key: `k<number % keys> <number>`. */
import { RawPublisher } from '../support/raw-publisher.js'

export const keys = 97

export class NumberedPublishing {
  readonly #publisher: RawPublisher
  published = 0
  #isPaused = false
  #loop: Promise<void> = Promise.resolve()

  constructor(port: number) {
    this.#publisher = new RawPublisher(port, 'kill')
  }

  /** Publishes at a rate until told to pause. */
  async start(ratePerSecond: number): Promise<void> {
    await this.#publisher.connect()
    this.#isPaused = false
    this.#loop = this.#run(ratePerSecond)
  }

  /** Every message published so far is acknowledged by the broker; none is on its way. */
  async pause(): Promise<void> {
    this.#isPaused = true
    await this.#loop
    await this.#publisher.finished()
    await this.#publisher.close()
  }

  /** Publishes so many as fast as the broker takes them; it has acknowledged them all at the end. */
  async all(count: number): Promise<void> {
    await this.#publisher.connect()
    while (this.published < count) await this.#publishSome(Math.min(1000, count - this.published))
    await this.#publisher.finished()
    await this.#publisher.close()
  }

  async #run(ratePerSecond: number): Promise<void> {
    let last = performance.now()
    while (!this.#isPaused) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      // By the clock, so that a late timer does not lower the rate; at most a tenth of a second at once.
      const now = performance.now()
      const count = Math.round((ratePerSecond * Math.min(now - last, 100)) / 1000)
      last = now
      await this.#publishSome(count)
    }
  }

  async #publishSome(count: number): Promise<void> {
    const messages = Array.from({ length: count }, () => `k${this.published % keys} ${this.published++}`)
    await this.#publisher.publish(messages)
  }
}
