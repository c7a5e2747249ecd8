/** What the map sides of shuffles have written, by shuffle and map task: where reduce tasks find their input. */
import { MillraceError } from '../../errors.js'
import type { PartitionedLineage } from '../../rdd/lineage.js'
import { type StoredBytes, sliceStored } from '../../storage/stored-bytes.js'
import type { Bucket } from '../shuffle-writer.js'
import type { ShufflePart } from './messages.js'

export type MapOutput =
  /** Written in this thread and not yet needed in another: values, one bucket a target partition. */
  | { readonly type: 'values'; readonly buckets: Bucket[] }
  | { readonly type: 'parts'; readonly parts: readonly ShufflePart[] }

export class MapOutputs {
  readonly #outputs = new Map<number, MapOutput[]>()
  readonly #onForgotten: (stored: StoredBytes) => void

  /** `onForgotten` gets the bytes nobody will ask for again. */
  constructor(onForgotten: (stored: StoredBytes) => void = () => {}) {
    this.#onForgotten = onForgotten
  }

  keep(shuffleId: number, mapPartition: number, output: MapOutput): void {
    let byMapTask = this.#outputs.get(shuffleId)
    if (byMapTask === undefined) {
      byMapTask = []
      this.#outputs.set(shuffleId, byMapTask)
    }
    const before = byMapTask[mapPartition]
    byMapTask[mapPartition] = output
    if (before !== undefined) this.#release(before)
  }

  /** What every map task wrote for `partition`, in order of the map tasks. Throws `BLOCK_NOT_FOUND` unless all have written. */
  buckets(shuffle: PartitionedLineage, partition: number): (Bucket | StoredBytes)[] {
    const byMapTask = this.#outputs.get(shuffle.id) ?? []
    const found: (Bucket | StoredBytes)[] = []
    for (let mapTask = 0; mapTask < shuffle.parent.partitions; mapTask++) {
      const output = byMapTask[mapTask]
      if (output === undefined) {
        throw new MillraceError(
          'BLOCK_NOT_FOUND',
          `The output of map task ${mapTask} of shuffle ${shuffle.id} is not here.`,
          {
            details: { shuffle: shuffle.id },
          },
        )
      }
      if (output.type === 'values') found.push(output.buckets[partition]!)
      else {
        for (const { stored, offsets } of output.parts) {
          const [from, to] = [offsets[partition]!, offsets[partition + 1]!]
          if (to > from) found.push(sliceStored(stored, from, to))
        }
      }
    }
    return found
  }

  forget(shuffleId: number): void {
    for (const output of this.#outputs.get(shuffleId) ?? []) if (output !== undefined) this.#release(output)
    this.#outputs.delete(shuffleId)
  }

  #release(output: MapOutput): void {
    if (output.type === 'parts') for (const { stored } of output.parts) this.#onForgotten(stored)
  }
}
