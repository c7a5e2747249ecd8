/** Which files of a directory belong to which batch of a file stream. Spark's four conditions, one after the other. */
import type { FileInfo } from '../rdd/outside-access.js'
import type { Time } from '../time.js'
import type { EarlierRun } from './dstream-graph.js'
import type { SourceMemory } from './input-nodes.js'

export interface NewFilesOptions {
  /** The files there are now. */
  readonly list: () => readonly FileInfo[]
  readonly batchMs: number
  /** How long a file that appears late is still taken, and a taken one is known, at least. */
  readonly rememberMs: number
  /** Files modified up to here are never taken. */
  readonly ignoreUpTo: Time
}

/** What is remembered of a file stream: from where on it takes files, and which ones each batch of late took. */
interface FilesMemory {
  readonly ignoreUpTo: Time
  readonly selected: readonly (readonly [Time, readonly string[]])[]
}

export class NewFiles implements SourceMemory {
  readonly #options: NewFilesOptions
  readonly #rememberMs: number
  #ignoreUpTo: Time
  /** What each batch of late took. */
  readonly #selected = new Map<Time, readonly string[]>()
  /** The last batch of an earlier run, until the first of this one has looked for what came meanwhile. */
  #earlierLast: Time | null = null
  #isRemembered = false

  constructor(options: NewFilesOptions) {
    this.#options = options
    this.#ignoreUpTo = options.ignoreUpTo
    this.#rememberMs = Math.ceil(options.rememberMs / options.batchMs) * options.batchMs
  }

  /** The files of the batch of `time`, in order of their paths. A batch that asks again gets the same. */
  select(time: Time): readonly string[] {
    const known = this.#selected.get(time)
    if (known !== undefined) return known
    const after = Math.max(this.#ignoreUpTo, Math.min(time, this.#earlierLast ?? time) - this.#rememberMs)
    if (this.#earlierLast !== null && time > this.#earlierLast) this.#earlierLast = null
    const taken = new Set([...this.#selected.values()].flat())
    const paths = this.#options
      .list()
      .filter(({ path, modifiedMs }) => modifiedMs > after && modifiedMs <= time && !taken.has(path))
      .map(({ path }) => path)
    this.#selected.set(time, paths)
    for (const old of this.#selected.keys()) if (old <= time - this.#rememberMs) this.#selected.delete(old)
    return paths
  }

  toRemember(time: Time): FilesMemory | null {
    if (this.#isRemembered && (this.#selected.get(time) ?? []).length === 0) return null
    this.#isRemembered = true
    return { ignoreUpTo: this.#ignoreUpTo, selected: [...this.#selected].filter(([, paths]) => paths.length > 0) }
  }

  resume({ memory, completed, last }: EarlierRun): void {
    const { ignoreUpTo, selected } = (memory as FilesMemory | null) ?? { ignoreUpTo: this.#ignoreUpTo, selected: [] }
    this.#ignoreUpTo = ignoreUpTo
    for (const time of completed) this.#selected.set(time, [])
    for (const [time, paths] of selected) this.#selected.set(time, paths)
    this.#earlierLast = last
  }
}
