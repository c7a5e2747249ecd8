/** What the map sides of shuffles have written, by shuffle and map task: where reduce tasks find their input. */
import { MillraceError } from '../../errors.js'
import type { PartitionedLineage } from '../../rdd/lineage.js'
import { estimateBytes } from '../../storage/input-memory.js'
import { type StoredBytes, sliceStored } from '../../storage/stored-bytes.js'
import type { Bucket } from '../shuffle-writer.js'
import { GarbageCollection } from './garbage.js'
import type { ShufflePart } from './messages.js'

/** Below this a file is not worth its while. */
const roomMinBytes = 1 << 20

export type MapOutput =
  /** Written in this thread and not yet needed in another: values, one bucket a target partition, in one or more runs. */
  | { readonly type: 'values'; readonly buckets: readonly (readonly Bucket[])[] }
  | { readonly type: 'parts'; readonly parts: readonly ShufflePart[] }

export class MapOutputs {
  /** Output in memory, in bytes; of values about. */
  #memoryBytes = 0
  readonly #outputs = new Map<number, MapOutput[]>()
  readonly #limitBytes: number
  readonly #garbage = new GarbageCollection()
  readonly #onForgotten: (stored: StoredBytes) => void

  /** `limitBytes` is what output may take in memory; `onForgotten` gets the bytes nobody will ask for again. */
  constructor(limitBytes: number, onForgotten: (stored: StoredBytes) => void) {
    this.#limitBytes = limitBytes
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
    this.#memoryBytes += memoryOf(output)
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
      if (output.type === 'values') for (const run of output.buckets) found.push(run[partition]!)
      else {
        for (const { stored, offsets } of output.parts) {
          const [from, to] = [offsets[partition]!, offsets[partition + 1]!]
          if (to > from) found.push(sliceStored(stored, from, to))
        }
      }
    }
    return found
  }

  /** The map tasks whose output is not here. */
  missing(shuffle: PartitionedLineage): number[] {
    const byMapTask = this.#outputs.get(shuffle.id)
    const missing: number[] = []
    for (let mapTask = 0; mapTask < shuffle.parent.partitions; mapTask++) {
      if (byMapTask?.[mapTask] === undefined) missing.push(mapTask)
    }
    return missing
  }

  /** A file is gone: the output that was in it has to be written again. */
  lost(path: string): void {
    for (const byMapTask of this.#outputs.values()) {
      byMapTask.forEach((output, mapTask) => {
        const isIn =
          output?.type === 'parts' && output.parts.some(({ stored }) => stored.type === 'file' && stored.path === path)
        if (!isIn) return
        delete byMapTask[mapTask]
        this.#release(output)
      })
    }
  }

  forget(shuffleId: number): void {
    for (const output of this.#outputs.get(shuffleId) ?? []) if (output !== undefined) this.#release(output)
    this.#outputs.delete(shuffleId)
  }

  /** Bytes a task may add to the output in memory, when `tasks` run at once. */
  roomLeft(tasks: number): number {
    this.#garbage.suggest(this.#memoryBytes)
    return Math.max(roomMinBytes, (this.#limitBytes - this.#memoryBytes) / tasks)
  }

  #release(output: MapOutput): void {
    this.#memoryBytes -= memoryOf(output)
    if (output.type === 'parts') for (const { stored } of output.parts) this.#onForgotten(stored)
  }
}

function memoryOf(output: MapOutput): number {
  if (output.type === 'values') {
    return output.buckets.flat().reduce((sum, bucket) => sum + estimateBytes(bucket), 0)
  }
  return output.parts.reduce((sum, { stored }) => sum + (stored.type === 'shared' ? stored.length : 0), 0)
}
