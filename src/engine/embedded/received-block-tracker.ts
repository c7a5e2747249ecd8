/**
 * Which received block belongs to which batch. A small state machine: its events are exactly what a log must keep, and live
 * and recovered events go through the one `apply`.
 */
import { assertNever } from '../../errors.js'
import type { BlockInfo } from '../../rdd/lineage.js'
import type { Time } from '../../time.js'
import type { BlockGroups } from '../engine.js'

export type TrackerEvent =
  | { readonly type: 'blockAdded'; readonly block: BlockInfo }
  /** All blocks that waited go to the batch of `time`. */
  | { readonly type: 'batchAllocated'; readonly time: Time; readonly blocks: readonly BlockInfo[] }
  /** Batches before `time` are done and forgotten. */
  | { readonly type: 'batchesForgotten'; readonly time: Time }

export class ReceivedBlockTracker {
  #waiting: BlockInfo[] = []
  readonly #batches = new Map<Time, readonly BlockInfo[]>()
  #lastAllocated: Time = Number.NEGATIVE_INFINITY

  get hasUnallocatedBlocks(): boolean {
    return this.#waiting.length > 0
  }

  /** The batches that have been allocated and not forgotten, in order. */
  get allocatedTimes(): Time[] {
    return [...this.#batches.keys()]
  }

  /** The event that gives everything waiting to batch `time`; null when that time, or a later one, has been allocated. */
  allocation(time: Time): Extract<TrackerEvent, { type: 'batchAllocated' }> | null {
    return time > this.#lastAllocated ? { type: 'batchAllocated', time, blocks: [...this.#waiting] } : null
  }

  apply(event: TrackerEvent): void {
    switch (event.type) {
      case 'blockAdded':
        this.#waiting.push(event.block)
        return
      case 'batchAllocated': {
        this.#batches.set(event.time, event.blocks)
        this.#lastAllocated = event.time
        const allocated = new Set(event.blocks.map((block) => block.id))
        this.#waiting = this.#waiting.filter((block) => !allocated.has(block.id))
        return
      }
      case 'batchesForgotten':
        for (const time of this.#batches.keys()) if (time < event.time) this.#batches.delete(time)
        return
      default:
        assertNever(event)
    }
  }

  /** The blocks of a batch by stream, those of one block interval together: one group is one partition. */
  blocksOf(time: Time): ReadonlyMap<number, BlockGroups> {
    const byStream = new Map<number, BlockInfo[][]>()
    for (const block of this.#batches.get(time) ?? []) {
      let groups = byStream.get(block.streamId)
      if (groups === undefined) {
        groups = []
        byStream.set(block.streamId, groups)
      }
      const last = groups.at(-1)
      if (last?.[0]?.slot === block.slot && last[0].locations[0] === block.locations[0]) last.push(block)
      else groups.push([block])
    }
    return byStream
  }

  /** The blocks of every batch before `time`. */
  blocksBefore(time: Time): BlockInfo[] {
    return [...this.#batches].flatMap(([batch, blocks]) => (batch < time ? blocks : []))
  }
}
