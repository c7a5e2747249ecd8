/** Lets a long computation share its thread: it runs in slices of a few milliseconds and lets the event loop turn between them. */
import { keepShapes } from '../kept-shapes.js'

/** Long enough that turning the loop costs nothing, short enough that a socket, a timer or a keepalive never waits. */
const sliceMs = 8

export class Pacer {
  #sliceEnd = performance.now() + sliceMs

  /** True when the slice is used up: await `turn()` before going on. */
  get isDue(): boolean {
    return performance.now() >= this.#sliceEnd
  }

  /** Resolves after the event loop has turned once. */
  async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#sliceEnd = performance.now() + sliceMs
  }
}

keepShapes(new Pacer())

/** Calls `f` for each record, and lets the event loop turn between them. */
export async function forEachPaced<T>(records: Iterable<T>, pacer: Pacer, f: (record: T) => void): Promise<void> {
  let n = 0
  for (const record of records) {
    f(record)
    if ((++n & 255) === 0 && pacer.isDue) await pacer.turn()
  }
}

/** What an iterator gives that takes long for each, with turns for others between them. */
export async function inTurns<T>(iterator: Iterable<T>): Promise<T[]> {
  const pacer = new Pacer()
  const all: T[] = []
  for (const one of iterator) {
    all.push(one)
    if (pacer.isDue) await pacer.turn()
  }
  return all
}
