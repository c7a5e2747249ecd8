/** What of a stream is kept for comparison with what its source sends again. */
import { expect, it } from 'vitest'
import type { LoggedBlock } from '../../dist/storage/logged-block.js'
import { StreamTail } from '../../dist/storage/stream-tail.js'

const block = (number: number, records = 100): LoggedBlock => ({
  block: { id: `input-0-${number}`, streamId: 0, records, bytes: records, slot: 0, locations: [0] },
  format: 'bytes',
  position: { segment: 1, offset: number, payloadBytes: records },
})
const ids = (blocks: readonly LoggedBlock[]): string[] => blocks.map(({ block: { id } }) => id.slice('input-0-'.length))

it('is what is not acknowledged, however much a broker without a limit has in flight', () => {
  const tail = new StreamTail()
  for (let number = 0; number < 1000; number++) tail.add(block(number, 10_000), 0)
  expect(tail.unconfirmed.length).toBe(1000)
  tail.acknowledge(997)
  expect([ids(tail.unconfirmed), ids(tail.all)]).toEqual([
    ['998', '999'],
    ['998', '999'],
  ])
})

it('is bounded all the same', () => {
  const tail = new StreamTail()
  for (let number = 0; number < 300; number++) tail.add(block(number, 100_000), 0)
  expect(tail.unconfirmed.length).toBeGreaterThanOrEqual(200)
  expect(tail.all.length).toBeLessThanOrEqual(201)
})

it('holds blocks with as many records as are to be remembered, acknowledged or not', () => {
  const tail = new StreamTail()
  for (let number = 0; number < 10; number++) tail.add(block(number), 250)
  tail.acknowledge(8)
  expect([ids(tail.unconfirmed), ids(tail.all)]).toEqual([['9'], ['7', '8', '9']])
  expect(tail.oldest!.block.id).toBe('input-0-7')
})
