/** Several brokers, each with a session of ours: what is known of one must not be taken for what another sends. */
import { afterEach, expect, test } from 'vitest'
import type { MqttReceiverOptions } from '../../src/mqtt/mqtt-options.js'
import { mqttSink } from '../../src/mqtt/mqtt-sink.js'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { connack, publish } from '../support/frames.js'
import { ScriptedBroker, type ScriptedConnection } from '../support/scripted-broker.js'

const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

/** Two brokers; the second has had a session of ours all along. */
async function twoBrokers(): Promise<[ScriptedBroker, ScriptedBroker]> {
  const first = await ScriptedBroker.start()
  const second = await ScriptedBroker.start({ connack: (version) => connack(version, true) })
  cleanUp.push(
    () => first.close(),
    () => second.close(),
  )
  return [first, second]
}

function receive(brokers: readonly ScriptedBroker[], options: MqttReceiverOptions): CollectingSink<string> {
  const urls = brokers.map(({ url }) => url)
  const receiver = new MqttStringReceiver(urls, '#', { clientId: 'me', reconnectMaxDelay: '20ms', ...options })
  const sink = new CollectingSink(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  return sink
}

const message = (payload: string, qos: number, id = 7, isAgain = false): Buffer =>
  publish({ topic: 't', payload, qos, id, dup: isAgain })

/** Cuts the connection and gives the next one, on the other broker. */
async function failOver(from: ScriptedConnection, to: ScriptedBroker, n: number): Promise<ScriptedConnection> {
  from.socket.resetAndDestroy()
  return to.connection(n)
}

test.each([1, 2])('a packet id of one broker says nothing of the same id on another, QoS %i', async (qos) => {
  const [first, second] = await twoBrokers()
  const sink = receive([first, second], { qos: qos as 1 | 2 })
  const one = await first.connection()
  one.socket.write(message('same words', qos))
  await one.until(() => one.acked.length === 1)
  // The first broker has not released id 7 (QoS 2), nor is its acknowledgement known to have arrived (QoS 1).
  const two = await failOver(one, second, 0)
  two.socket.write(Buffer.concat([message('same words', qos), message('more words', qos, 8)]))
  await two.until(() => two.acked.length === 2)
  const three = await failOver(two, first, 1)
  three.socket.write(message('other words', qos, 8))
  await three.until(() => three.acked.length === 1)
  expect(sink.records).toEqual(['same words', 'same words', 'more words', 'other words'])
})

test.each([1, 2])('brokers that share their sessions repeat nothing that counts twice, QoS %i', async (qos) => {
  const [first, second] = await twoBrokers()
  const sink = receive([first, second], { qos: qos as 1 | 2 })
  const one = await first.connection()
  const stored: (() => void)[] = []
  sink.storing = () => new Promise((resolve) => stored.push(resolve))
  one.socket.write(message('once', qos))
  await sink.until(() => stored.length === 1)
  const two = await failOver(one, second, 0)
  two.socket.write(Buffer.concat([message('once', qos, 7, true), message('new', qos, 8)]))
  await sink.until(() => stored.length === 2)
  for (const done of stored) done()
  await two.until(() => two.acked.length === 2)
  expect(sink.records).toEqual(['once', 'new'])
})

test('a broker that knows an older session of ours is asked for our filters all the same', async () => {
  const [first, second] = await twoBrokers()
  receive([first, second], {})
  const two = await failOver(await first.connection(), second, 0)
  await two.until(() => two.isSubscribed)
})

test('a sink that falls over to another broker does not rely on a session there', async () => {
  const flags: number[] = []
  const brokers = await Promise.all(
    [0, 1].map(() => ScriptedBroker.start({ onConnect: (flag) => void flags.push(flag & 2) })),
  )
  for (const broker of brokers) cleanUp.push(() => broker.close())
  const publishTo = mqttSink<string>(
    brokers.map(({ url }) => url),
    { topic: 't', qos: 2, reconnectMaxDelay: '20ms' },
  )
  const failed = publishTo(['x']).catch((error: unknown) => error)
  const [first, second] = brokers as [ScriptedBroker, ScriptedBroker]
  const one = await first.accepted()
  one.socket.resetAndDestroy()
  const two = await second.accepted()
  two.socket.resetAndDestroy()
  await first.accepted(1)
  // Clean start each time: 2 is the flag's bit.
  expect(flags).toEqual([2, 2, 2])
  await first.accepted(1).then(({ socket }) => socket.write(Buffer.from([0xe0, 1, 0x8e])))
  await failed
})

test('the next connection comes soon after one that brought messages, however short it was, and later and later after others', async () => {
  const broker = await ScriptedBroker.start()
  cleanUp.push(() => broker.close())
  const sink = receive([broker], { reconnectMaxDelay: '30s' })
  // Packets of no known type: neither a network that breaks nor a broker that closes in order, which would be another client's doing.
  const broken = Buffer.from([0, 0])
  for (let n = 0; n < 5; n++) {
    const { socket } = await broker.connection(n)
    socket.write(Buffer.concat([message(`from connection ${n}`, 1, n + 1), broken]))
  }
  for (let n = 5; n < 8; n++) (await broker.connection(n)).socket.write(broken)
  await sink.until(() => sink.reports.length === 8)
  const pauses = sink.reports.map((report) => Number(/in (\d+\.\d) s$/.exec(report.message)![1]))
  expect(Math.max(...pauses.slice(0, 5))).toBeLessThanOrEqual(0.2)
  expect(pauses[7]).toBeGreaterThanOrEqual(0.4)
  expect(sink.records).toHaveLength(5)
})
