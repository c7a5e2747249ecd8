import { describe, expect, test } from 'vitest'
import { ReceivedBlockTracker } from '../../dist/engine/embedded/received-block-tracker.js'
import type { BlockInfo } from '../../dist/rdd/lineage.js'

function block(streamId: number, n: number, slot = n): BlockInfo {
  return { id: `input-${streamId}-${n}`, streamId, records: 1, bytes: 0, slot, locations: [0] }
}

function allocate(tracker: ReceivedBlockTracker, time: number) {
  const event = tracker.allocation(time)
  if (event !== null) tracker.apply(event)
  return tracker.blocksOf(time)
}

describe('ReceivedBlockTracker', () => {
  test('a batch gets everything that waits, by stream, in order of arrival', () => {
    const tracker = new ReceivedBlockTracker()
    for (const added of [block(0, 0), block(1, 1), block(0, 2)]) tracker.apply({ type: 'blockAdded', block: added })
    expect(tracker.hasUnallocatedBlocks).toBe(true)
    const blocks = allocate(tracker, 1000)
    expect(blocks.get(0)).toEqual([[block(0, 0)], [block(0, 2)]])
    expect(blocks.get(1)).toEqual([[block(1, 1)]])
    expect(tracker.hasUnallocatedBlocks).toBe(false)
  })

  test('blocks of one block interval become one partition', () => {
    const tracker = new ReceivedBlockTracker()
    const added = [block(0, 0, 7), block(0, 1, 7), block(0, 2, 8)]
    for (const each of added) tracker.apply({ type: 'blockAdded', block: each })
    expect(allocate(tracker, 1000).get(0)).toEqual([[added[0], added[1]], [added[2]]])
  })

  test('asking again for a batch, or for an older one, gives what it got and takes nothing new', () => {
    const tracker = new ReceivedBlockTracker()
    tracker.apply({ type: 'blockAdded', block: block(0, 0) })
    allocate(tracker, 2000)
    tracker.apply({ type: 'blockAdded', block: block(0, 1) })
    expect(allocate(tracker, 2000).get(0)).toEqual([[block(0, 0)]])
    expect(allocate(tracker, 1000).size).toBe(0)
    expect(tracker.hasUnallocatedBlocks).toBe(true)
  })

  test('a block that arrives while a batch is being allocated waits for the next', () => {
    const tracker = new ReceivedBlockTracker()
    tracker.apply({ type: 'blockAdded', block: block(0, 0) })
    const event = tracker.allocation(1000)!
    tracker.apply({ type: 'blockAdded', block: block(0, 1) })
    tracker.apply(event)
    expect(tracker.blocksOf(1000).get(0)).toEqual([[block(0, 0)]])
    expect(allocate(tracker, 2000).get(0)).toEqual([[block(0, 1)]])
  })

  test('forgetting keeps the batches from that time on', () => {
    const tracker = new ReceivedBlockTracker()
    for (const time of [1000, 2000, 3000]) {
      tracker.apply({ type: 'blockAdded', block: block(0, time) })
      allocate(tracker, time)
    }
    expect(tracker.blocksBefore(3000).map(({ id }) => id)).toEqual(['input-0-1000', 'input-0-2000'])
    tracker.apply({ type: 'batchesForgotten', time: 3000 })
    expect(tracker.allocatedTimes).toEqual([3000])
  })
})
