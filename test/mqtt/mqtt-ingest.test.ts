/** How a receiver stores, acknowledges and holds back, against a broker whose every packet the test decides. */
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { readBlockHeader } from '../../src/mqtt/message-block.js'
import type { MqttReceiverOptions } from '../../src/mqtt/mqtt-options.js'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import type { ReceivedBytes } from '../../src/receiver/receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { connack, publish, random } from '../support/frames.js'
import { ScriptedBroker, type ScriptedBrokerOptions, type ScriptedConnection } from '../support/scripted-broker.js'

const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function start(options: MqttReceiverOptions = {}, script: ScriptedBrokerOptions = {}) {
  const broker = await ScriptedBroker.start(script)
  cleanUp.push(() => broker.close())
  const receiver = new MqttStringReceiver(broker.url, '#', {
    clientId: 'me',
    protocolVersion: 5,
    reconnectMaxDelay: '50ms',
    ...options,
  })
  const sink = new CollectingSink(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  return { broker, receiver, sink }
}

/** Storage that waits to be told: one entry a block. */
function manualStorage(
  sink: CollectingSink<unknown>,
): { block: ReceivedBytes; stored: () => void; failed: (error: Error) => void }[] {
  const waiting: { block: ReceivedBytes; stored: () => void; failed: (error: Error) => void }[] = []
  sink.storing = (block) => new Promise((stored, failed) => waiting.push({ block, stored, failed }))
  return waiting
}

const message = (id: number, qos = 1): Buffer => publish({ topic: 't', payload: String(id), qos, id })

describe('acknowledgements', () => {
  test('go out when the block is stored, in the order the messages came, whatever the order of storing', async () => {
    const { broker, sink } = await start({ keepalive: 1 })
    const connection = await broker.connection()
    const storage = manualStorage(sink)
    for (let block = 0; block < 3; block++) {
      connection.socket.write(Buffer.concat([message(block * 2 + 1), message(block * 2 + 2, 2)]))
      await sink.until(() => storage.length === block + 1)
    }
    storage[2]?.stored()
    storage[1]?.stored()
    // What the client writes comes in order: a ping after the storing, and no acknowledgement before it.
    const { pings } = connection
    await connection.until(() => connection.pings > pings || connection.acked.length > 0)
    expect(connection.acked).toEqual([])
    storage[0]?.stored()
    await connection.until(() => connection.acked.length === 6)
    expect(connection.acked).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('never go out on another connection than the messages came by', async () => {
    const { broker, receiver, sink } = await start()
    const first = await broker.connection()
    const storage = manualStorage(sink)
    first.socket.write(message(7))
    await sink.until(() => storage.length === 1)
    first.socket.resetAndDestroy()
    const second = await broker.connection(1)
    second.socket.write(message(8))
    await sink.until(() => storage.length === 2)
    expect(receiver.status).toMatchObject({ connections: 2, unacknowledged: 1 })
    storage[0]?.stored()
    storage[1]?.stored()
    await second.until(() => second.acked.length > 0)
    expect(second.acked).toEqual([8])
    expect(storage.map(({ block }) => readBlockHeader(Buffer.from(block.bytes)))).toMatchObject([
      { connection: 1, isSessionResumed: false },
      { connection: 2, isSessionResumed: true },
    ])
    const [session, resumed] = storage.map(({ block }) => readBlockHeader(Buffer.from(block.bytes)).session)
    expect(resumed).toBe(session)
  })

  test('stay out when a block cannot be stored: the receiver restarts, and QoS 2 messages of that block are new again', async () => {
    const { broker, receiver, sink } = await start()
    const first = await broker.connection()
    const storage = manualStorage(sink)
    first.socket.write(message(1, 2))
    await sink.until(() => storage.length === 1)
    first.socket.write(message(2, 1))
    await sink.until(() => storage.length === 2)
    storage[1]?.stored()
    storage[0]?.failed(new Error('disk full'))
    await sink.until(() => sink.restarts.length === 1)
    expect(sink.restarts[0]?.error).toMatchObject({ message: 'disk full' })
    await receiver.onStop()
    expect(first.acked).toEqual([])
    sink.storing = async () => {}
    void receiver.onStart()
    const second = await broker.connection(1)
    second.socket.write(publish({ topic: 't', payload: 'again', qos: 2, id: 1, dup: true }))
    await sink.until(() => sink.records.includes('again'))
    await second.until(() => second.acked.length === 1)
  })

  test('a stop waits for what was read to be stored and acknowledged', async () => {
    const { broker, receiver, sink } = await start()
    const connection = await broker.connection()
    const storage = manualStorage(sink)
    connection.socket.write(Buffer.concat([message(1), message(2)]))
    await sink.until(() => storage.length === 1)
    const stopped = receiver.onStop()
    storage[0]?.stored()
    await stopped
    await connection.until(() => connection.disconnectReason !== null)
    expect(connection.acked).toEqual([1, 2])
    expect(connection.disconnectReason).toBe(0)
  })
})

test('blocks keep what came, however much comes after them', async () => {
  const { broker, receiver, sink } = await start({ qos: 0 })
  const connection = await broker.connection()
  sink.isRaw = true
  const next = random(7)
  const sizes = Array.from({ length: 20_000 }, () => next(next(50) === 0 ? 300_000 : 3000))
  for (const [i, size] of sizes.entries()) {
    const isRoom = connection.socket.write(publish({ topic: 't', payload: `${i} ${'x'.repeat(size)}` }))
    if (!isRoom) await once(connection.socket, 'drain')
  }
  await sink.until(() => sink.messages === sizes.length)
  let i = 0
  for (const block of sink.blocks)
    for (const lines of receiver.readBlock(block))
      for (const line of lines) {
        const expected = `${i} ${'x'.repeat(sizes[i]!)}`
        if (line !== expected) throw new Error(`message ${i} is ${line.slice(0, 20)} of ${line.length} characters`)
        i++
      }
  expect(i).toBe(sizes.length)
  // Large reads are kept where they were read.
  expect(sink.blocks.some((block) => block.byteLength < block.buffer.byteLength)).toBe(true)
})

test('blocks keep what came before a packet that breaks the protocol', async () => {
  const { broker, receiver, sink } = await start({ qos: 0 })
  const connection = await broker.connection()
  sink.isRaw = true
  const wanted = Array.from({ length: 245 }, (_, i) => `${i} ${'x'.repeat(1000)}`)
  const bad = Buffer.concat([Buffer.from([0x36, 3, 0, 1, 0x74]), Buffer.alloc(2_000_000, 'y')])
  connection.socket.write(Buffer.concat([...wanted.map((payload) => publish({ topic: 't', payload })), bad]))
  await broker.connection(1)
  expect(sink.codes).toEqual(['MQTT_PROTOCOL_ERROR'])
  expect(sink.blocks.flatMap((block) => [...receiver.readBlock(block)].flat())).toEqual(wanted)
})

describe('holding back', () => {
  test('at the memory bound the socket is not read, pings keep the connection, and nothing is dropped', async () => {
    const { broker, receiver, sink } = await start({ maxBufferedBytes: 100_000, keepalive: 1, qos: 0 })
    const connection = await broker.connection()
    const storage = manualStorage(sink)
    const payload = 'x'.repeat(1000)
    const count = 40_000
    for (let i = 0; i < count; i++) connection.socket.write(publish({ topic: 't', payload }))
    await sink.until(() => receiver.status?.isHeld === true)
    const pings = connection.pings
    // Longer than one and a half keepalives: with the socket unread, the broker's answers are unread too.
    await sink.until(() => sink.reports.length > 0)
    expect(sink.codes).toEqual(['MQTT_NOT_READ'])
    expect(String(sink.reports[0]?.error)).toContain('max_queued_messages')
    await connection.until(() => connection.pings >= pings + 7)
    expect(receiver.status).toMatchObject({ heldBy: ['memory'], maxBufferedBytes: 100_000 })
    expect(receiver.status?.heldMs).toBeGreaterThan(1000)
    expect(broker.connections).toHaveLength(1)
    expect(receiver.status?.bufferedBytes).toBeLessThan(100_000 + 512 * 1024)
    expect(connection.socket.writableLength).toBeGreaterThan(1_000_000)
    sink.storing = async () => {}
    for (const { stored } of storage) stored()
    await sink.until(() => sink.messages === count)
    expect(broker.connections).toHaveLength(1)
    await sink.until(() => receiver.status?.isHeld === false)
    expect(sink.reports).toHaveLength(1)
  })

  test('a rate limit takes its share of what waits, and all of it in the end', async () => {
    const broker = await ScriptedBroker.start()
    cleanUp.push(() => broker.close())
    const receiver = new MqttStringReceiver(broker.url, '#')
    const sink = new CollectingSink(receiver)
    sink.ratePerSecond = 5000
    void receiver.onStart()
    cleanUp.push(() => receiver.onStop())
    const connection = await broker.connection()
    let blocks = 0
    sink.storing = async () => {
      blocks += 1
    }
    connection.socket.write(Buffer.concat(Array.from({ length: 3000 }, (_, i) => message(i + 1))))
    await sink.until(() => sink.messages === 3000)
    await connection.until(() => connection.acked.length === 3000)
    // One read of the socket, taken in shares.
    expect(blocks).toBeGreaterThan(3)
    expect(sink.records).toEqual(Array.from({ length: 3000 }, (_, i) => String(i + 1)))
  })

  test('a broker that lets 20 messages in flight is not made to wait for a coalescing pause', async () => {
    // Were every 20 messages to cost the pause of 400 ms, these would take 40 s.
    const { broker, receiver, sink } = await start({ coalesce: '400ms' })
    const connection = await broker.connection()
    const count = 4000
    let sent = 0
    const pump = (): void => {
      while (sent < count && sent - connection.acked.length < 20) {
        sent += 1
        connection.socket.write(message(sent))
      }
    }
    connection.on('packet', pump)
    pump()
    await sink.until(() => sink.messages === count)
    expect(receiver.status?.unacknowledged).toBeLessThanOrEqual(20)
  })

  test('when the window is the limit, it is said once, with the name of the setting', async () => {
    const { broker, receiver, sink } = await start()
    sink.storing = () => new Promise((resolve) => setTimeout(resolve, 30))
    const connection = await broker.connection()
    let sent = 0
    const pump = (): void => {
      while (sent - connection.acked.length < 20) {
        sent += 1
        connection.socket.write(message((sent % 60_000) + 1))
      }
    }
    connection.on('packet', pump)
    pump()
    await sink.until(() => sink.codes.includes('MQTT_WINDOW_LIMITED'))
    expect(String(sink.reports[0]?.error)).toMatch(/sends 20 messages and then waits.*max_inflight_messages/)
    expect(receiver.status).toMatchObject({ windowLimit: 20 })
    expect(receiver.status?.windowLimitedMs).toBeGreaterThan(0)
    expect(sink.codes).toEqual(['MQTT_WINDOW_LIMITED'])
  })
})

describe('a broker that breaks the protocol', () => {
  test('is told the reason and left, and the connection made again', async () => {
    const { broker, sink } = await start()
    const first = await broker.connection()
    first.socket.write(Buffer.concat([message(1), publish({ topic: 'a/#', qos: 1, id: 2 })]))
    await sink.until(() => sink.codes.includes('MQTT_PROTOCOL_ERROR'))
    await first.until(() => first.disconnectReason !== null)
    expect(first.disconnectReason).toBe(0x90)
    const second = await broker.connection(1)
    second.socket.write(message(3))
    await sink.until(() => sink.records.includes('3'))
    expect(sink.records).toEqual(['1', '3'])
  })

  test('a subscription it refuses is reported by filter and reason, and asked for again', async () => {
    const { broker, sink } = await start({}, { granted: 0x87 })
    await sink.until(() => sink.reports.length === 2)
    await broker.connection(1)
    expect(sink.codes).toEqual(['MQTT_SUBSCRIBE_REFUSED', 'MQTT_SUBSCRIBE_REFUSED'])
    expect(String(sink.reports[0]?.error)).toContain('#: Not authorized (0x87)')
  })

  test('every reason it may give for ending a connection is told in words', async () => {
    const reasons = [
      0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b,
      0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
    ]
    const { broker, sink } = await start({ reconnectMaxDelay: 1 })
    for (const [n, reason] of reasons.entries()) {
      const connection = await broker.connection(n)
      connection.socket.end(Buffer.from([0xe0, 2, reason, 0]))
      await sink.until(() => sink.reports.length === n + 1)
    }
    const words = sink.reports.map(({ error }) => /ended the connection: (.*) \(0x/.exec(String(error))?.[1])
    expect(new Set(words).size).toBe(reasons.length)
    expect(words).not.toContain('Unknown reason')
    expect(sink.stops).toEqual([])
  })

  test('a session taken over ends the receiver at once', async () => {
    const { broker, sink } = await start()
    const connection = await broker.connection()
    connection.socket.write(Buffer.from([0xe0, 2, 0x8e, 0]))
    connection.socket.end()
    await sink.until(() => sink.stops.length === 1)
    expect(sink.stops[0]?.error).toMatchObject({ code: 'MQTT_SESSION_TAKEN_OVER', details: { clientId: 'me' } })
    expect(broker.connections).toHaveLength(1)
  })

  test('cannot crash or stall the receiver with control packets of any content', async () => {
    const pick = random(77)
    const rounds = 150 * Number(process.env.MILLRACE_BUDGET ?? 1)
    const seeds: Buffer[] = [
      connack(5),
      Buffer.from([0x20, 9, 0, 0, 6, 0x22, 0, 10, 0x21, 0, 5]),
      Buffer.from([0x90, 4, 0, 1, 0, 1]),
      Buffer.from([0xe0, 2, 0x8b, 0]),
      Buffer.from([0xe0, 10, 0x89, 8, 0x1f, 0, 5, 98, 117, 115, 121, 33]),
      Buffer.from([0xd0, 0]),
      Buffer.from([0xf0, 6, 0x18, 4, 0x15, 0, 1, 65]),
      Buffer.from([0xb0, 4, 0, 1, 0, 0]),
    ]
    const garbage = (): Buffer => {
      const packet = Buffer.from(seeds[pick(seeds.length)]!)
      for (let i = 1 + pick(4); i > 0; i--) packet[2 + pick(packet.length - 2 || 1)] = pick(256)
      if (pick(3) === 0) packet[1] = pick(12)
      // "Session taken over" would end the receiver, as it must.
      return Buffer.from(packet.map((byte) => (byte === 0x8e ? 0x8f : byte)))
    }
    const { broker, sink } = await start(
      { reconnectMaxDelay: 1, connectTimeout: '300ms', keepalive: 1 },
      { connack: (_, n) => (n > rounds ? connack(5) : pick(2) === 0 ? garbage() : connack(5)) },
    )
    const handled = new Set<unknown>()
    for (let n = 0; broker.connections.length <= rounds; n++) {
      await sink.until(() => broker.connections.length > n)
      const { socket } = broker.connections[n]!
      if (handled.has(socket)) continue
      handled.add(socket)
      socket.write(Buffer.concat([garbage(), garbage(), garbage()]))
      setTimeout(() => socket.resetAndDestroy(), 5)
    }
    const isSound = ({ socket, isSubscribed }: ScriptedConnection): boolean => isSubscribed && !handled.has(socket)
    await sink.until(() => broker.connections.some(isSound))
    broker.connections.find(isSound)?.socket.write(message(5))
    await sink.until(() => sink.records.includes('5'))
    expect(broker.connections.length).toBeGreaterThan(rounds)
    expect(sink.stops).toEqual([])
    for (const { error } of sink.reports) expect(error).toMatchObject({ code: expect.stringMatching(/^MQTT_/) })
  }, 300_000)
})
