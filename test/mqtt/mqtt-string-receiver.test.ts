/** The seed's receiver against a real Mosquitto, with the C client publishing. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { Mosquitto } from '../support/mosquitto.js'

let broker: Mosquitto
let receiver: MqttStringReceiver
let sink: CollectingSink<string>

beforeAll(async () => {
  broker = await Mosquitto.start()
})
afterEach(() => receiver.onStop())
afterAll(() => broker.close())

async function start(topic: string): Promise<void> {
  receiver = new MqttStringReceiver(broker.url, topic)
  sink = new CollectingSink(receiver)
  void receiver.onStart()
  await subscribed()
}

async function subscribed(): Promise<void> {
  const id = receiver.clientId
  await sink.until(() => new RegExp(`Sending SUBACK to ${id}`).test(broker.log))
}

test('every line of every payload arrives once, in order', async () => {
  await start('rupesh/gpiotopic')
  const payloads = ['one', 'two\nthree\n', 'four\r\nfive\r\n', '', '\n', 'sechs Äpfel, 七, 🌾\nno end', 'a\n\nb']
  for (const payload of payloads) await broker.publish('rupesh/gpiotopic', payload)
  const expected = ['one', 'two', 'three', 'four', 'five', '', 'sechs Äpfel, 七, 🌾', 'no end', 'a', '', 'b']
  await sink.until(() => sink.records.length >= expected.length)
  expect(sink.records).toEqual(expected)
  expect(sink.messages).toBe(payloads.length)
})

test('a payload of a megabyte arrives whole', async () => {
  await start('big/#')
  const line = 'x'.repeat(999)
  await broker.publish(
    'big/one',
    Array.from({ length: 1000 }, (_, i) => `${String(i).padStart(4, '0')}${line}`.slice(0, 999)).join('\n'),
  )
  await broker.publish('big/two', 'after')
  await sink.until(() => sink.records.length >= 1001)
  expect(sink.records).toHaveLength(1001)
  expect(sink.records[999]).toBe(`0999${line}`.slice(0, 999))
  expect(sink.records[1000]).toBe('after')
})
