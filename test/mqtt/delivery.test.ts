/**
 * Delivery through real brokers while the network is cut and brokers are restarted and killed: numbered messages on ten topics. Afterwards nothing
 * acknowledged is missing, each topic is in order, and what came twice did so only where the protocol allows it (QoS 1).
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { MqttMessage } from '../../src/mqtt/message-block.js'
import { MqttMessageReceiver } from '../../src/mqtt/mqtt-message-receiver.js'
import { mqttSink } from '../../src/mqtt/mqtt-sink.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { HiveMQ } from '../support/hivemq.js'
import { Mosquitto } from '../support/mosquitto.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
/** HiveMQ writes every message to its database several times; it gets fewer of them in the default run. */
const counts = { Mosquitto: 100_000 * budget, HiveMQ: 20_000 * budget }
const patienceMs = 240_000
const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

const topicOf = (n: number): string => `n/${n % 10}`
const numberOf = (message: MqttMessage): number => Number(Buffer.from(message.payload).toString())
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

let names = 0
/** A durable receiver of `n/#`, subscribed. Storage takes a moment, so that acknowledgements are under way when a connection is cut. */
async function receive(
  url: string,
  qos: 1 | 2,
): Promise<CollectingSink<MqttMessage> & { receiver: MqttMessageReceiver }> {
  const receiver = new MqttMessageReceiver(url, 'n/#', {
    qos,
    clientId: `receiver-${names++}`,
    reconnectMaxDelay: '100ms',
    // All that is in flight is sent again after a cut: it must be less than what passes between two cuts.
    receiveMaximum: 2000,
  })
  const sink = Object.assign(new CollectingSink(receiver), { receiver })
  sink.storing = () => new Promise((resolve) => setTimeout(resolve, 2))
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  await sink.until(() => receiver.status?.isConnected === true)
  // Subscribed when a message of its own comes through.
  const hello = mqttSink<string>(url, { topic: `n/hello`, reconnectMaxDelay: '100ms' })
  while (sink.records.length === 0) {
    await hello(['-1'])
    await sink.until(() => sink.records.length > 0, 200).catch(() => {})
  }
  return sink
}

function publisher(url: string, qos: 1 | 2): (records: Iterable<number>) => Promise<void> {
  return mqttSink<number>(url, { topic: topicOf, payload: String, qos, maxInFlight: 500, reconnectMaxDelay: '100ms' })
}

/** How many numbers came at least once. */
function arrived(sink: CollectingSink<MqttMessage>): number {
  return new Set(sink.records.filter((one) => one.topic !== 'n/hello').map(numberOf)).size
}

/** Waits until all have come, cheaply: looks at the set only when there are enough records. */
async function allArrived(sink: CollectingSink<MqttMessage>, wanted: number): Promise<void> {
  let looked = 0
  await sink.until(() => {
    if (sink.records.length < wanted || sink.records.length === looked) return false
    looked = sink.records.length
    return arrived(sink) === wanted
  }, patienceMs)
}

function check(sink: CollectingSink<MqttMessage>, qos: 1 | 2, wanted: number): void {
  const seen = new Set<number>()
  const last = new Map<string, number>()
  let twice = 0
  for (const message of sink.records) {
    if (message.topic === 'n/hello') continue
    const n = numberOf(message)
    if (seen.has(n)) {
      twice += 1
      continue
    }
    seen.add(n)
    // Out of order would be: a number that comes for the first time after a later one of its topic.
    const before = last.get(message.topic) ?? -1
    if (n < before) throw new Error(`${message.topic}: ${n} came after ${before}`)
    last.set(message.topic, n)
  }
  expect(seen.size).toBe(wanted)
  if (qos === 2) expect(twice).toBe(0)
}

describe.each(['Mosquitto', 'HiveMQ'] as const)('%s', (make) => {
  const count = counts[make]
  let broker: Mosquitto | HiveMQ
  beforeAll(async () => {
    broker =
      make === 'HiveMQ'
        ? await HiveMQ.start()
        : await Mosquitto.start({
            persistence: true,
            config: ['max_queued_messages 1000000', 'max_inflight_messages 1000', 'autosave_interval 0'],
          })
  }, patienceMs)
  afterAll(() => broker.close())

  test.each([1, 2] as const)(
    'delivers everything at QoS %i over network cuts',
    async (qos) => {
      const proxy = await CuttingProxy.start(broker.port)
      cleanUp.push(() => proxy.close())
      const sink = await receive(proxy.url, qos)
      proxy.cutEvery(4 * count)
      await publisher(broker.url, qos)(numbers(0, count))
      await allArrived(sink, count)
      check(sink, qos, count)
      expect(proxy.cuts).toBeGreaterThan(2)
      expect(sink.receiver.status?.sessionsLost).toBe(0)
    },
    2 * patienceMs,
  )

  test(
    'delivers everything at QoS 1 when the broker is restarted in the middle',
    async () => {
      const sink = await receive(broker.url, 1)
      const published = publisher(broker.url, 1)(numbers(0, count))
      await sink.until(() => sink.records.length > count * 0.3, patienceMs)
      await broker.end('SIGTERM')
      await broker.restart()
      await published
      await allArrived(sink, count)
      check(sink, 1, count)
      expect(sink.receiver.status?.connections).toBeGreaterThan(1)
      expect(sink.codes).not.toContain('MQTT_SESSION_LOST')
    },
    2 * patienceMs,
  )

  test(
    'redelivers what was not acknowledged when the broker is killed while a queue drains',
    async () => {
      const sink = await receive(broker.url, 1)
      await sink.receiver.onStop()
      await publisher(broker.url, 1)(numbers(0, count))
      // Mosquitto keeps its queue in memory until told to save it; ending it in order is one way to tell it.
      await broker.end('SIGTERM')
      await broker.restart()
      void sink.receiver.onStart()
      await sink.until(() => sink.records.length > count * 0.3, patienceMs)
      await broker.end('SIGKILL')
      await broker.restart()
      await allArrived(sink, count)
      check(sink, 1, count)
    },
    2 * patienceMs,
  )
})

test('without persistence a restart of the broker loses the session, and that is reported', async () => {
  const broker = await Mosquitto.start()
  cleanUp.push(() => broker.close())
  const sink = await receive(broker.url, 1)
  await broker.end('SIGTERM')
  await broker.restart()
  await sink.until(() => sink.codes.includes('MQTT_SESSION_LOST'))
  expect(sink.receiver.status?.sessionsLost).toBe(1)
  await sink.until(() => broker.log.split(`Sending SUBACK to ${sink.receiver.clientId}`).length === 3)
  await publisher(broker.url, 1)(numbers(0, 10))
  await sink.until(() => sink.records.length >= 11)
})
