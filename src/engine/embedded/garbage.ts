/**
 * Collects garbage on request. Output of a shuffle goes when nothing refers to the shuffle any more, which only the collector
 * can tell; and it does not look, in a thread that makes little garbage, however much shared memory waits for it.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Output that must have come since the last time. */
const worthwhileBytes = 64 << 20
/** A large heap takes long to look through: not more often than this, times what the last time took. */
const pauseRatio = 50

export class GarbageCollection {
  #collect: (() => void) | null = null
  #bytesThen = 0
  #nextAt = 0

  /** Collects when output in memory has grown by enough, and when the last time was long enough ago. */
  suggest(outputBytes: number): void {
    if (outputBytes < this.#bytesThen) this.#bytesThen = outputBytes
    if (outputBytes - this.#bytesThen < worthwhileBytes) return
    const start = performance.now()
    if (start < this.#nextAt) return
    this.#collect ??= exposedCollector()
    this.#collect()
    const end = performance.now()
    this.#nextAt = end + (end - start) * pauseRatio
    this.#bytesThen = outputBytes
  }
}

function exposedCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
