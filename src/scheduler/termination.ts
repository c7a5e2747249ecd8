/** The end of a context: what it waits for who waits, and the error that brought it about. */
import { waitAtMost } from '../time.js'

export class Termination {
  readonly #ended: Promise<void>
  #end: () => void = () => {}
  #error: Error | null = null

  constructor() {
    this.#ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  /** What went wrong first, or null. */
  get error(): Error | null {
    return this.#error
  }

  /** Notes why it ends; what is told later counts for nothing. */
  because(error: Error): void {
    this.#error ??= error
  }

  /** It has ended. */
  end(): void {
    this.#end()
  }

  /** Resolves at the end; rejects, every time, with the error that brought it about. */
  async wait(): Promise<void> {
    await this.#ended
    if (this.#error !== null) throw this.#error
  }

  /** As `wait`, for at most so many milliseconds: true at the end, false if the time ran out first. */
  waitAtMost(ms: number): Promise<boolean> {
    return waitAtMost(ms, this.wait())
  }
}
