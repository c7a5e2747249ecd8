/** The records of a partition for a function that iterates: made as it asks for them, and remembered for when it fails. */
import { RecordCollector } from '../rdd/record-arrays.js'
import { noRecord } from '../rdd/reduction.js'
import type { FusedLoop } from './fused-loop.js'

/** Part of a partition; no loop when its chunks are the records as they are. */
export interface Opened {
  readonly chunks: Iterable<readonly unknown[]>
  readonly loop: FusedLoop | null
}

export class PulledRecords {
  readonly records: Generator<unknown, void>
  /** The record that was given out last; `noRecord` before the first and once there are no more. */
  last: unknown = noRecord
  /** What making a record threw: it comes through the function that asked for one, and is not its own. */
  failure: unknown = noRecord

  constructor(parts: readonly Opened[]) {
    this.records = this.#made(parts)
  }

  /** Runs ahead of the consumer by a few records at first, by hundreds once it has shown that it wants them. */
  *#made(parts: readonly Opened[]): Generator<unknown, void> {
    let size = 1
    try {
      for (const { chunks, loop } of parts) {
        for (const chunk of chunks) {
          if (loop === null) {
            for (let i = 0; i < chunk.length; i++) {
              this.last = chunk[i]
              yield this.last
            }
            continue
          }
          for (let from = 0; from < chunk.length; ) {
            const to = Math.min(from + size, chunk.length)
            const collector = new RecordCollector()
            loop(chunk, from, to, collector)
            for (const out of collector.arrays) {
              for (let i = 0; i < out.length; i++) {
                this.last = out[i]
                yield this.last
              }
            }
            from = to
            if (size < 512) size *= 2
          }
        }
      }
      this.last = noRecord
    } catch (error) {
      this.failure = error
      throw error
    }
  }
}
