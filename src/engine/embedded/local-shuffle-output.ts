/** What a map task in the driver's thread writes: values, until they would take too much memory, from then on bytes in files. */

import { estimateBytes } from '../../storage/input-memory.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import type { Bucket, WriterBound } from '../shuffle-writer.js'
import type { MapOutput } from './map-outputs.js'
import { ShuffleOutput } from './shuffle-output.js'

/** Pairs held before anyone asks how large they are. */
const unmeasured = 1 << 16

export interface LocalShuffleOptions {
  /** Values that may be held, in bytes, about. */
  readonly memoryBytes: number
  readonly spillDirectory: string
  readonly name: string
  readonly combines: boolean
}

export class LocalShuffleOutput implements WriterBound {
  readonly #options: LocalShuffleOptions
  #held: Bucket[][] = []
  #entries = unmeasured
  #written: ShuffleOutput | null = null
  #records = 0

  constructor(options: LocalShuffleOptions) {
    this.#options = options
  }

  readonly entriesMax = (): number => (this.#written === null ? this.#entries : this.#written.entriesMax())

  readonly flush = (buckets: Bucket[]): void => {
    const { memoryBytes, spillDirectory, name, combines } = this.#options
    this.#records += count(buckets)
    if (this.#written !== null) {
      this.#written.flush(buckets)
      return
    }
    this.#held.push(buckets)
    const pairs = this.#held.flat()
    const entries = pairs.reduce((sum, bucket) => sum + bucket.length, 0)
    const bytes = pairs.reduce((sum, bucket) => sum + estimateBytes(bucket), 0)
    const more = Math.floor(((memoryBytes - bytes) * entries) / Math.max(bytes, 1))
    if (more > unmeasured) {
      this.#entries = more
      return
    }
    this.#written = new ShuffleOutput({
      pool: new SharedPool(),
      spillDirectory,
      name,
      spillBytes: Math.min(memoryBytes, 32 << 20),
      combines,
    })
    for (const held of this.#held) this.#written.flush(held)
    this.#held = []
  }

  /** Pairs written so far. */
  get records(): number {
    return this.#records
  }

  /** The output, with what the writer still holds. */
  finish(last: Bucket[]): MapOutput {
    this.#records += count(last)
    if (this.#written === null) return { type: 'values', buckets: [...this.#held, last] }
    this.#written.flush(last)
    return { type: 'parts', parts: this.#written.finish() }
  }
}

function count(buckets: readonly Bucket[]): number {
  return buckets.reduce((sum, bucket) => sum + bucket.length, 0)
}
