/** What one map task writes: for every target partition a run of frames, in shared memory, or in a file once it has grown large. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { framesOf } from '../../storage/record-frames.js'
import type { SharedPool } from '../../storage/shared-bytes.js'
import type { Bucket, WriterBound } from '../shuffle-writer.js'
import type { ShufflePart } from './messages.js'

/** Collected pairs are turned into bytes when they would take about this much. */
const flushBytes = 8 << 20
/** Output of one task beyond this goes to a file. */
export const spillBytes: number = 64 << 20

export class ShuffleOutput implements WriterBound {
  readonly #pool: SharedPool
  readonly #spillDirectory: string
  readonly #name: string
  readonly #spillBytes: number
  /** Frames by target partition, not yet in a part. */
  #frames: Uint8Array[][] = []
  #frameBytes = 0
  #spilled: ShufflePart[] = []
  /** How large an entry is turns out with the first thousand. */
  #entries = 1024
  #records = 0

  constructor(options: { pool: SharedPool; spillDirectory: string; name: string; spillBytes: number }) {
    this.#pool = options.pool
    this.#spillDirectory = options.spillDirectory
    this.#name = options.name
    this.#spillBytes = options.spillBytes
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
    if (entries > 0) this.#entries = Math.max(256, Math.min(1 << 20, Math.floor((flushBytes * entries) / bytes)))
    if (this.#frameBytes > this.#spillBytes) this.#spill()
  }

  /** Pairs written so far. */
  get records(): number {
    return this.#records
  }

  /** Everything written, in order. */
  finish(): ShufflePart[] {
    const parts = this.#spilled
    if (this.#frameBytes > 0) {
      const { all, offsets } = this.#takeFrames()
      parts.push({ stored: { type: 'shared', ...this.#pool.write(all) }, offsets })
    }
    return parts
  }

  #spill(): void {
    const { all, offsets } = this.#takeFrames()
    mkdirSync(this.#spillDirectory, { recursive: true, mode: 0o700 })
    const path = join(this.#spillDirectory, `${this.#name}-${this.#spilled.length}`)
    const file = openSync(path, 'wx', 0o600)
    try {
      for (const frame of all) writeSync(file, frame)
    } finally {
      closeSync(file)
    }
    this.#spilled.push({ stored: { type: 'file', path, offset: 0, length: offsets.at(-1)! }, offsets })
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
