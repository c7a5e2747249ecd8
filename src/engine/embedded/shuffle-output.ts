/** What one map task writes: for every target partition a run of frames, in shared memory, or in a file once it has grown large. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { frameRecordsMax, framesOf } from '../../storage/record-frames.js'
import type { SharedPool } from '../../storage/shared-bytes.js'
import type { Bucket, WriterBound } from '../shuffle-writer.js'
import type { ShufflePart } from './messages.js'

/** Collected pairs are turned into bytes when they would take about this much. */
const flushBytes = 16 << 20
/** And when they are as many as this. */
const entriesMost = 1 << 20

export interface ShuffleOutputOptions {
  readonly pool: SharedPool
  readonly spillDirectory: string
  /** Unique among the files there. */
  readonly name: string
  /** How much is held in memory. */
  readonly spillBytes: number
  /** True if pairs come combined: then every flush is a part of its own, since the next may hold the same keys. */
  readonly combines: boolean
}

export class ShuffleOutput implements WriterBound {
  readonly #pool: SharedPool
  readonly #spillDirectory: string
  readonly #name: string
  readonly #spillBytes: number
  readonly #combines: boolean
  /** Frames by target partition, not yet in a part. */
  #frames: Uint8Array[][] = []
  #frameBytes = 0
  readonly #parts: ShufflePart[] = []
  /** In parts already, in memory. */
  #sharedBytes = 0
  /** How large an entry is turns out with the first thousand. */
  #entries = 1024
  #records = 0

  constructor(options: ShuffleOutputOptions) {
    this.#pool = options.pool
    this.#spillDirectory = options.spillDirectory
    this.#name = options.name
    this.#spillBytes = options.spillBytes
    this.#combines = options.combines
  }

  readonly entriesMax = (): number => this.#entries

  readonly flush = (buckets: Bucket[]): void => {
    let bytes = 0
    let entries = 0
    buckets.forEach((bucket, partition) => {
      this.#frames[partition] ??= []
      for (const frame of bucket.length === 0 ? [] : framesOf(bucket)) {
        this.#frames[partition].push(frame)
        bytes += frame.byteLength
      }
      entries += bucket.length
    })
    this.#frameBytes += bytes
    this.#records += entries
    if (entries > 0) {
      // About a frame a partition, with room for chance, where nothing is gained by collecting more: what dies young costs little.
      const most = this.#combines ? entriesMost : Math.min(entriesMost, 0.8 * frameRecordsMax * buckets.length)
      this.#entries = Math.floor(Math.max(256, Math.min(most, (flushBytes * entries) / bytes)))
    }
    if (this.#frameBytes + this.#sharedBytes > this.#spillBytes) this.#spill()
    else if (this.#combines) this.#share()
  }

  /** Pairs written so far. */
  get records(): number {
    return this.#records
  }

  /** Everything written, in order. */
  finish(): ShufflePart[] {
    this.#share()
    return this.#parts
  }

  #share(): void {
    if (this.#frameBytes === 0) return
    this.#sharedBytes += this.#frameBytes
    const { all, offsets } = this.#takeFrames()
    this.#parts.push({ stored: { type: 'shared', ...this.#pool.write(all) }, offsets })
  }

  #spill(): void {
    const { all, offsets } = this.#takeFrames()
    mkdirSync(this.#spillDirectory, { recursive: true, mode: 0o700 })
    const path = join(this.#spillDirectory, `${this.#name}-${this.#parts.length}`)
    const file = openSync(path, 'wx', 0o600)
    try {
      for (const frame of all) writeSync(file, frame)
    } finally {
      closeSync(file)
    }
    this.#parts.push({ stored: { type: 'file', path, offset: 0, length: offsets.at(-1)! }, offsets })
  }

  #takeFrames(): { all: Uint8Array[]; offsets: number[] } {
    const all: Uint8Array[] = []
    const offsets = [0]
    let offset = 0
    for (const frames of this.#frames) {
      for (const frame of frames) {
        all.push(frame)
        offset += frame.byteLength
      }
      offsets.push(offset)
    }
    this.#frames = []
    this.#frameBytes = 0
    return { all, offsets }
  }
}
