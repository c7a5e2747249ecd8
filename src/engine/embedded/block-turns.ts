/** The order of one stream's blocks: they enter the log and become known as they came, however long each takes to store. */

export class BlockTurns {
  readonly entering: Turns = new Turns()
  readonly storing: Turns = new Turns()
}

class Turns {
  #pending = 0
  #last: Promise<unknown> = Promise.resolve()

  /** Takes a step when those given before have ended, well or not: at once when none is left. */
  next<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#pending === 0 ? step() : this.#last.then(step)
    this.#pending++
    const end = (): void => void this.#pending--
    this.#last = result.then(end, end)
    return result
  }
}
