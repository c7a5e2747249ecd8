/** Which files of a directory belong to which batch of a file stream. Spark's four conditions, one after the other. */
import type { FileInfo } from '../rdd/outside-access.js'
import type { Time } from '../time.js'

export interface NewFilesOptions {
  /** The files there are now. */
  readonly list: () => readonly FileInfo[]
  readonly batchMs: number
  /** How long a file that appears late is still taken, and a taken one is known, at least. */
  readonly rememberMs: number
  /** Files modified up to here are never taken. */
  readonly ignoreUpTo: Time
}

export class NewFiles {
  readonly #options: NewFilesOptions
  readonly #rememberMs: number
  /** What each batch of late took. */
  readonly #selected = new Map<Time, readonly string[]>()

  constructor(options: NewFilesOptions) {
    this.#options = options
    this.#rememberMs = Math.ceil(options.rememberMs / options.batchMs) * options.batchMs
  }

  /** The files of the batch of `time`, in order of their paths. A batch that asks again gets the same. */
  select(time: Time): readonly string[] {
    const known = this.#selected.get(time)
    if (known !== undefined) return known
    const after = Math.max(this.#options.ignoreUpTo, time - this.#rememberMs)
    const taken = new Set([...this.#selected.values()].flat())
    const paths = this.#options
      .list()
      .filter(({ path, modifiedMs }) => modifiedMs > after && modifiedMs <= time && !taken.has(path))
      .map(({ path }) => path)
    this.#selected.set(time, paths)
    for (const old of this.#selected.keys()) if (old <= time - this.#rememberMs) this.#selected.delete(old)
    return paths
  }
}
