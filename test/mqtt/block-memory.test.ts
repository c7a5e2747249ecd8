/** The memory of blocks is read into again: never before the last one who reads a block has done so. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import * as millrace from 'millrace'
import { afterEach, describe, expect, test } from 'vitest'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { READ_BYTES, ReadBuffers } from '../../src/mqtt/read-buffers.js'
import type { ReceivedBytes } from '../../src/receiver/receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { testContext } from '../support/contexts.js'
import { publish, random } from '../support/frames.js'
import { ScriptedBroker } from '../support/scripted-broker.js'

const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function send(socket: Socket, frames: readonly Buffer[]): Promise<void> {
  if (!socket.write(Buffer.concat(frames))) await once(socket, 'drain')
}

async function start() {
  const broker = await ScriptedBroker.start({ granted: 2 })
  cleanUp.push(() => broker.close())
  const receiver = new MqttStringReceiver(broker.url, '#', {
    clientId: 'me',
    qos: 2,
    protocolVersion: 5,
    reconnectMaxDelay: '50ms',
  })
  const sink = new CollectingSink(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  return { broker, receiver, sink }
}

describe('read buffers', () => {
  test('come back when all who keep them have let go', () => {
    const buffers = new ReadBuffers()
    const buffer = buffers.take()
    const lent = buffers.lend(buffer)
    lent.keep()
    lent.letGo()
    expect(buffers.take()).not.toBe(buffer)
    lent.letGo()
    expect(buffers.take()).toBe(buffer)
  })

  test('are kept up to 64 MB, as long as they are needed, and not after the end', () => {
    const buffers = new ReadBuffers()
    const taken = Array.from({ length: 300 }, () => buffers.take())
    for (const buffer of taken) buffers.give(buffer)
    buffers.give(Buffer.alloc(READ_BYTES * 2))
    expect(buffers.freeBytes).toBe(64 * 1024 * 1024)
    buffers.trim()
    const needed = [buffers.take(), buffers.take()]
    for (const buffer of needed) buffers.give(buffer)
    buffers.trim()
    expect(buffers.freeBytes).toBe(2 * READ_BYTES)
    buffers.trim()
    expect(buffers.freeBytes).toBe(0)
    buffers.close()
    buffers.give(needed[0]!)
    expect(buffers.freeBytes).toBe(0)
  })
})

test('no block changes before it is released, whatever its QoS and however long it is kept', async () => {
  const { broker, receiver, sink } = await start()
  const connection = await broker.connection()
  const next = random(11)
  const kept: { block: ReceivedBytes; copy: Buffer }[] = []
  const memories = new Set<ArrayBufferLike>()
  let blocks = 0
  let changed = 0
  const letOneGo = (): void => {
    const [one] = kept.splice(next(kept.length), 1)
    if (one!.copy.compare(one!.block.bytes) !== 0) changed++
    one!.block.release?.()
    // Again: one release is enough.
    if (next(4) === 0) one!.block.release?.()
  }
  sink.storing = async (block) => {
    blocks++
    memories.add(block.bytes.buffer)
    kept.push({ block, copy: Buffer.from(block.bytes) })
    while (kept.length > next(12)) letOneGo()
  }
  const count = 30_000
  const sent: string[] = []
  for (let i = 0; i < count; ) {
    const frames: Buffer[] = []
    const qos = next(3)
    for (const end = Math.min(count, i + 500); i < end; i++) {
      const payload = `${i} ${'x'.repeat(next(next(100) === 0 ? 200_000 : 3000))}`
      sent.push(payload)
      frames.push(publish({ topic: 't', payload, qos, id: (i % 60_000) + 1 }))
    }
    await send(connection.socket, frames)
    if (qos !== 2) continue
    // PUBREL for each, so that blocks of QoS 2 are done at some time too.
    const ids = Array.from({ length: frames.length }, (_, k) => ((i - frames.length + k) % 60_000) + 1)
    await send(
      connection.socket,
      ids.map((id) => Buffer.from([0x62, 2, id >> 8, id & 255])),
    )
  }
  await sink.until(() => sink.records.length === count)
  expect(sink.records.every((line, i) => line === sent[i])).toBe(true)
  while (kept.length > 0) letOneGo()
  expect(changed).toBe(0)
  // Most were read into memory that had been a block before.
  expect(blocks).toBeGreaterThan(100)
  expect(memories.size).toBeLessThan(blocks / 2)
  expect(receiver.status?.messages).toBe(count)
})

test('what the broker may send again is known although its block is released and much was read since', async () => {
  const { broker, receiver, sink } = await start()
  const first = await broker.connection()
  sink.storing = async (block) => block.release?.()
  const payload = 'y'.repeat(2000)
  const again = Array.from({ length: 300 }, (_, i) => ({ topic: 't', payload: `${i} ${payload}`, qos: 1, id: i + 1 }))
  // The acknowledgements go out, but nothing says that they arrived.
  first.socket.removeAllListeners('data')
  await send(first.socket, again.map(publish))
  const others = Array.from({ length: 2000 }, (_, i) => publish({ topic: 't', payload: `other ${i} ${payload}` }))
  await send(first.socket, others)
  await sink.until(() => sink.messages === 2300)
  first.socket.resetAndDestroy()
  const second = await broker.accepted(1)
  await send(second.socket, [
    ...again.map((one) => publish({ ...one, dup: true })),
    publish({ topic: 't', payload: 'new', qos: 1, id: 301 }),
  ])
  await sink.until(() => sink.records.includes('new'))
  expect(sink.messages).toBe(2301)
  expect(receiver.status?.repeated).toBe(300)
})

describe('on master local', () => {
  /** The payload itself is the record: what the documentation says not to do. */
  class Views extends millrace.MqttReceiver<Buffer> {
    override processMqttMessages(payload: Buffer): Buffer[] {
      return [payload]
    }
  }

  test('records that are views of a block stay as they were, and so do blocks in a window', async () => {
    const broker = await ScriptedBroker.start()
    cleanUp.push(() => broker.close())
    const { ssc, nextBatch } = testContext()
    const options = { qos: 0, protocolVersion: 5 } as const
    const views: Buffer[] = []
    const lines: string[] = []
    ssc.receiverStream(new Views(broker.url, 'views', options)).foreachRDD(async (rdd) => {
      views.push(...(await rdd.collect()))
    })
    ssc
      .receiverStream(new millrace.MqttStringReceiver(broker.url, 'lines', options))
      .window('3s')
      .foreachRDD(async (rdd) => {
        lines.push(...(await rdd.collect()).map((line) => line.slice(0, 10)))
      })
    await ssc.start()
    cleanUp.push(async () => void (await ssc.stop()))
    await broker.accepted(1)
    for (const connection of broker.connections) await connection.until(() => connection.isSubscribed)
    const batches = 8
    const text = (batch: number, i: number): string => `${batch}-${i} `.padEnd(2000, `${batch}`)
    for (let batch = 0; batch < batches; batch++) {
      const frames = Array.from({ length: 400 }, (_, i) => publish({ topic: 't', payload: text(batch, i) }))
      for (const { socket } of broker.connections) await send(socket, frames)
      await nextBatch()
    }
    while (views.length < batches * 400 || lines.length < batches * 400 * 3) await nextBatch()
    expect(views.map((view) => view.toString())).toEqual(
      Array.from({ length: batches * 400 }, (_, n) => text(Math.floor(n / 400), n % 400)),
    )
    // Each line is in three windows.
    const counts = new Map<string, number>()
    for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1)
    expect(counts.size).toBe(batches * 400)
    expect([...counts.values()].every((count) => count === 3)).toBe(true)
  })
})
