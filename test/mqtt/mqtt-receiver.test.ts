/** What an MqttReceiver does with messages, and what it says when things go wrong, against real brokers. */
import { afterEach, expect, test } from 'vitest'
import { EmbeddedBroker } from '../../src/mqtt/embedded-broker.js'
import type { MqttMessage } from '../../src/mqtt/message-block.js'
import { MqttJsonReceiver } from '../../src/mqtt/mqtt-decoding-receiver.js'
import { MqttMessageReceiver } from '../../src/mqtt/mqtt-message-receiver.js'
import { MqttReceiver } from '../../src/mqtt/mqtt-receiver.js'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { freePort, Mosquitto } from '../support/mosquitto.js'

const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function mosquitto(...args: Parameters<typeof Mosquitto.start>): Promise<Mosquitto> {
  const broker = await Mosquitto.start(...args)
  cleanUp.push(() => broker.close())
  return broker
}

function run<T>(receiver: MqttReceiver<T>): CollectingSink<T> {
  const sink = new CollectingSink(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  return sink
}

/** A subscription is in place when a message comes through. */
async function subscribed(
  broker: Mosquitto,
  receiver: MqttReceiver<unknown>,
  sink: CollectingSink<unknown>,
): Promise<void> {
  await sink.until(() => broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
}

test('messages arrive from the embedded broker, which speaks only MQTT 3.1.1', async () => {
  const broker = await EmbeddedBroker.start()
  cleanUp.push(() => broker.close())
  await broker.publish('a/b', 'kept', { retain: true })
  const receiver = new MqttMessageReceiver(broker.url, ['a/+', 'c/#'], { clientId: 'me' })
  const sink = run(receiver)
  await sink.until(() => sink.records.length === 1)
  expect(sink.records[0]).toMatchObject({ topic: 'a/b', qos: 1, retain: true, dup: false })
  expect(receiver.status).toMatchObject({ isConnected: true, protocolVersion: 4, messages: 1, broker: broker.url })
  await broker.publish('c/d/e', Buffer.from([0, 255, 254]))
  await sink.until(() => sink.records.length === 2)
  expect(sink.records[1]).toEqual({
    topic: 'c/d/e',
    payload: new Uint8Array([0, 255, 254]),
    qos: 1,
    retain: false,
    dup: false,
  })
  await sink.until(() => receiver.status?.unacknowledged === 0)
})

test('MQTT 5 properties are in the record', async () => {
  const broker = await mosquitto()
  const receiver = new MqttMessageReceiver(broker.url, 'p/#')
  const sink = run(receiver)
  await subscribed(broker, receiver, sink)
  const properties = [
    ['content-type', 'text/plain'],
    ['response-topic', 'answer/here'],
    ['correlation-data', 'c7'],
    ['message-expiry-interval', '100'],
    ['payload-format-indicator', '1'],
    ['user-property', 'unit', '°C'],
    ['user-property', 'unit', 'twice'],
  ]
  await broker.publish('p/1', 'x', '-V', '5', ...properties.flatMap((one) => ['-D', 'publish', ...one]))
  await broker.publish('p/2', 'y', '-V', '5')
  await sink.until(() => sink.records.length === 2)
  const [first, second] = sink.records as [MqttMessage, MqttMessage]
  expect(first.properties).toMatchObject({
    contentType: 'text/plain',
    responseTopic: 'answer/here',
    correlationData: new Uint8Array([0x63, 0x37]),
    payloadFormatIndicator: true,
    userProperties: [
      ['unit', '°C'],
      ['unit', 'twice'],
    ],
  })
  expect(first.properties?.messageExpiryInterval).toBeGreaterThan(90)
  expect(second.properties).toBeUndefined()
})

test('a subclass gives records by return, by any iterable, or by store as the seed does', async () => {
  class Many extends MqttReceiver<string> {
    override processMqttMessages(payload: Buffer, message: MqttMessage): Iterable<string> | void {
      const words = payload.toString().split(' ')
      if (message.topic === 'w/array') return words
      if (message.topic === 'w/set') return new Set(words)
      if (message.topic === 'w/text') return payload.toString()
      const iterator = words.values()
      for (let next = iterator.next(); !this.isStopped() && !next.done; next = iterator.next()) this.store(next.value)
    }
  }
  const broker = await mosquitto()
  const receiver = new Many(broker.url, 'w/#')
  const sink = run(receiver)
  await subscribed(broker, receiver, sink)
  for (const topic of ['array', 'set', 'text', 'store']) await broker.publish(`w/${topic}`, 'b a a')
  await sink.until(() => sink.messages === 4)
  expect(sink.records).toEqual(['b', 'a', 'a', 'b', 'a', 'b a a', 'b', 'a', 'a'])
})

test('an error of processMqttMessages names topic and place in the block and keeps its cause', async () => {
  class Failing extends MqttReceiver<number> {
    override processMqttMessages(payload: Buffer): number[] {
      if (payload.length === 3) throw new TypeError('three')
      return [payload.length]
    }
  }
  const broker = await mosquitto()
  const receiver = new Failing(broker.url, 'f/#', { coalesce: '100ms' })
  const sink = run(receiver)
  sink.isRaw = true
  await subscribed(broker, receiver, sink)
  await broker.publish('f/good', 'x')
  await broker.publish('f/bad one', 'xxx')
  await sink.until(() => sink.messages === 2)
  const all = Buffer.concat(sink.blocks)
  expect(() => [...receiver.readBlock(all)]).toThrow(
    expect.objectContaining({
      code: 'MQTT_DECODE_FAILED',
      message: 'Failing could not decode message 1 of its block, topic "f/bad one", 3 bytes: three',
      details: { topic: 'f/bad one', index: 1 },
      cause: expect.any(TypeError),
    }),
  )
})

test.each([
  ['a promise', async () => ['x'], /returned a promise; expected an array .* must not wait/],
  ['a promise that is rejected', async () => Promise.reject(new Error('late')), /returned a promise/],
  ['a number', () => 5, /returned the number 5; expected an array/],
  ['an object', () => ({ v: 1 }), /returned an object of Object/],
])('what processMqttMessages must not return is named: %s', async (_, decode, text) => {
  class Wrong extends MqttReceiver<unknown> {
    override processMqttMessages = decode as () => never
  }
  const broker = await mosquitto()
  const receiver = new Wrong(broker.url, 'wrong')
  const sink = run(receiver)
  sink.isRaw = true
  await subscribed(broker, receiver, sink)
  await broker.publish('wrong', 'x')
  await sink.until(() => sink.messages === 1)
  const read = () => [...receiver.readBlock(Buffer.concat(sink.blocks))]
  expect(read).toThrow(expect.objectContaining({ code: 'MQTT_DECODE_FAILED', details: { topic: 'wrong', index: 0 } }))
  expect(read).toThrow(text)
})

test('a promise of processMqttMessages that nobody awaits is reported when it fails, and so is a timer that throws', async () => {
  class Careless extends MqttReceiver<string> {
    override processMqttMessages(payload: Buffer): string[] {
      void Promise.reject(new Error('nobody awaits me'))
      setTimeout(() => {
        throw new Error('nobody catches me')
      }, 1)
      return [payload.toString()]
    }
  }
  const broker = await mosquitto()
  const receiver = new Careless(broker.url, 'careless')
  const sink = run(receiver)
  await subscribed(broker, receiver, sink)
  await broker.publish('careless', 'x')
  await sink.until(() => sink.reports.length === 2)
  expect(sink.records).toEqual(['x'])
  expect(sink.reports.map(({ error }) => String(error))).toEqual([
    'Error: nobody awaits me',
    'Error: nobody catches me',
  ])
  expect([sink.restarts, sink.stops]).toEqual([[], []])
})

test('a malformed JSON message goes to the dead-letter handler and the others go on', async () => {
  const broker = await mosquitto()
  const letters: unknown[] = []
  const receiver = new MqttJsonReceiver<{ v: number }>(broker.url, 'j/#', {
    onMalformed: (letter) => letters.push([letter.topic, Buffer.from(letter.payload).toString(), letter.error.name]),
  })
  const sink = run(receiver)
  await subscribed(broker, receiver, sink)
  await broker.publish('j/1', '{"v": 1}')
  await broker.publish('j/2', '{"v": ')
  await broker.publish('j/3', '{"v": "ä"}')
  await sink.until(() => sink.messages === 3)
  expect(sink.records).toEqual([{ v: 1 }, { v: 'ä' }])
  expect(letters).toEqual([['j/2', '{"v": ', 'SyntaxError']])
  expect(receiver.malformedMessages).toBe(1)
})

test('an unreachable broker is tried again and again, and each report says when', async () => {
  const port = await freePort()
  const receiver = new MqttStringReceiver(`mqtt://user:secret@127.0.0.1:${port}`, 'x')
  const sink = run(receiver)
  await sink.until(() => sink.reports.length >= 2)
  expect(sink.codes).toEqual(expect.arrayContaining(['MQTT_UNREACHABLE', 'MQTT_UNREACHABLE']))
  expect(sink.reports[0]?.message).toMatch(/attempt 1 failed, the next one is in 0\.\d s/)
  expect(sink.reports[1]?.message).toMatch(/attempt 2 failed/)
  expect(String(sink.reports[0]?.error)).toContain('ECONNREFUSED')
  expect(JSON.stringify(sink.reports) + sink.reports.map((one) => String(one.error)).join()).not.toContain('secret')
  expect(sink.stops).toEqual([])
})

test('a broker that appears later is connected to, and an outage does not end the stream', async () => {
  const broker = await mosquitto()
  await broker.end()
  const receiver = new MqttStringReceiver(broker.url, 'late', { clientId: 'late', reconnectMaxDelay: '200ms' })
  const sink = run(receiver)
  await sink.until(() => sink.codes.includes('MQTT_UNREACHABLE'))
  await broker.restart()
  await subscribed(broker, receiver, sink)
  await broker.publish('late', 'hello')
  await sink.until(() => sink.records.length === 1)
})

test('bad credentials are told in words on MQTT 5 and 3.1.1', async () => {
  const broker = await mosquitto({
    listener: false,
    config: ['listener %port% 127.0.0.1', 'allow_anonymous false', 'password_file %dir%/mosquitto.conf'],
  }).catch(() => null)
  const embedded = await EmbeddedBroker.start({ username: 'good', password: 'right' })
  cleanUp.push(() => embedded.close())
  const old = run(new MqttStringReceiver(embedded.url.replace('//', '//good:wrong@'), 'x'))
  await old.until(() => old.codes.includes('MQTT_REFUSED'))
  const refused = old.reports.find((one) => (one.error as { code?: string }).code === 'MQTT_REFUSED')
  expect(String(refused?.error)).toContain('Bad user name or password (0x04)')
  expect(String(refused?.error)).not.toContain('wrong')
  if (broker === null) return
  const five = run(new MqttStringReceiver(broker.url, 'x', { protocolVersion: 5 }))
  await five.until(() => five.codes.includes('MQTT_REFUSED'))
  expect(String(five.reports[0]?.error)).toMatch(/Not authorized \(0x87\)/)
})

test('a second client with the same id stops the receiver with a named error', async () => {
  const broker = await mosquitto()
  const first = new MqttStringReceiver(broker.url, 'x', { clientId: 'twin' })
  const firstSink = run(first)
  await subscribed(broker, first, firstSink)
  const second = new MqttStringReceiver(broker.url, 'x', { clientId: 'twin' })
  const secondSink = run(second)
  await firstSink.until(() => firstSink.stops.length + secondSink.stops.length >= 1)
  const [stop] = [...firstSink.stops, ...secondSink.stops]
  expect(stop?.error).toMatchObject({ code: 'MQTT_SESSION_TAKEN_OVER', details: { clientId: 'twin' } })
})
