/** What a broker says in its CONNACK and SUBACK that it takes, and how receivers and sinks keep to it. */
import { afterEach, expect, test } from 'vitest'
import type { MqttMessage } from '../../src/mqtt/message-block.js'
import { MqttMessageReceiver } from '../../src/mqtt/mqtt-message-receiver.js'
import { mqttSink } from '../../src/mqtt/mqtt-sink.js'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { frame, publish } from '../support/frames.js'
import { Mosquitto } from '../support/mosquitto.js'
import { ScriptedBroker } from '../support/scripted-broker.js'

const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

/** A broker whose CONNACK has these properties. */
async function brokerWith(properties: readonly number[]): Promise<ScriptedBroker> {
  const broker = await ScriptedBroker.start({ connack: () => frame(0x20, [0, 0, properties.length, ...properties]) })
  cleanUp.push(() => broker.close())
  return broker
}

function run(receiver: MqttStringReceiver): CollectingSink<string> {
  const sink = new CollectingSink(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  return sink
}

test('a broker that wants pings more often than the receiver meant to send them gets them', async () => {
  const broker = await brokerWith([0x13, 0, 1])
  run(new MqttStringReceiver(broker.url, '#', { keepalive: 600 }))
  const connection = await broker.connection()
  // At the receiver's own pace the first would come after 200 s.
  await connection.until(() => connection.pings >= 3)
})

test('a broker that wants no pings does not turn off the watch over the connection', async () => {
  const broker = await brokerWith([0x13, 0, 0])
  run(new MqttStringReceiver(broker.url, '#', { keepalive: 1 }))
  const connection = await broker.connection()
  await connection.until(() => connection.pings >= 2)
})

test('a lower QoS than was asked for is reported, and the receiver goes on', async () => {
  const broker = await ScriptedBroker.start({ granted: 0 })
  cleanUp.push(() => broker.close())
  const sink = run(new MqttStringReceiver(broker.url, 'plant/#', { qos: 2 }))
  const connection = await broker.connection()
  await sink.until(() => sink.reports.length === 1)
  expect(sink.reports[0]?.error).toMatchObject({
    code: 'MQTT_QOS_LOWERED',
    message: expect.stringContaining('plant/#: QoS 0 instead of 2'),
  })
  connection.socket.write(publish({ topic: 'plant/1', payload: 'x' }))
  await sink.until(() => sink.records.length === 1)
})

test.each([
  ['a QoS', [0x24, 0], { qos: 1 }, 'of a higher QoS than the broker takes (0)'],
  ['retained messages', [0x25, 0], { qos: 0, retain: true }, 'keeps no retained messages'],
  ['a size', [0x27, 0, 0, 0, 20], { qos: 0 }, 'larger than the broker takes (20)'],
] as const)('a sink does not send %s the broker does not take, and says so', async (_, properties, options, words) => {
  const broker = await brokerWith(properties)
  const publishAll = mqttSink<string>(broker.url, { topic: 't', ...options })
  await expect(publishAll(['x'.repeat(30)])).rejects.toMatchObject({
    code: 'MQTT_PUBLISH_FAILED',
    message: expect.stringContaining(words),
  })
})

test.each([4, 5] as const)(
  'the will is published when the receiver is lost, not when it stops, MQTT %i',
  async (version) => {
    const broker = await Mosquitto.start()
    cleanUp.push(() => broker.close())
    const watcher = new MqttMessageReceiver(broker.url, 'wills/#', { qos: 2 })
    const heard = new CollectingSink<MqttMessage>(watcher)
    void watcher.onStart()
    cleanUp.push(() => watcher.onStop())
    await heard.until(() => broker.log.includes(`Sending SUBACK to ${watcher.clientId}`))
    for (const end of ['stopped', 'lost']) {
      const receiver = new MqttStringReceiver(broker.url, 'x', {
        clientId: `to-be-${end}`,
        protocolVersion: version,
        will: {
          topic: `wills/${end}`,
          payload: 'gone',
          qos: 1,
          properties: {
            contentType: 'text/plain',
            userProperties: [
              ['a', '1'],
              ['a', '2'],
              ['b', '3'],
            ],
          },
        },
      })
      const sink = new CollectingSink(receiver)
      void receiver.onStart()
      await sink.until(() => broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
      // A client that takes over the session ends the first connection without its DISCONNECT.
      if (end === 'lost') await broker.publish('y', '', '-i', receiver.clientId, '-V', '5')
      await receiver.onStop()
    }
    await heard.until(() => heard.records.length === 1)
    expect(heard.records[0]).toMatchObject({ topic: 'wills/lost', qos: 1 })
    expect(heard.records[0]?.properties).toEqual(
      version === 4
        ? undefined
        : {
            contentType: 'text/plain',
            userProperties: [
              ['a', '1'],
              ['a', '2'],
              ['b', '3'],
            ],
          },
    )
  },
)

test('a control packet that MQTT.js cannot read ends the connection with the reason, under its name', async () => {
  const broker = await ScriptedBroker.start()
  cleanUp.push(() => broker.close())
  const sink = run(new MqttStringReceiver(broker.url, '#', { reconnectMaxDelay: '20ms' }))
  const connection = await broker.connection()
  // DISCONNECT with a reason MQTT does not have.
  connection.socket.write(frame(0xe0, [0x7b, 0]))
  await connection.until(() => connection.disconnectReason !== null)
  expect(connection.disconnectReason).toBe(0x81)
  await broker.accepted(1)
  expect(sink.codes).toEqual(['MQTT_PROTOCOL_ERROR'])
  expect(String(sink.reports[0]?.error)).toContain('Malformed packet (0x81) (Invalid disconnect reason code)')
})

test('a broker that does not answer CONNECT is given up in time, and that is said', async () => {
  const broker = await ScriptedBroker.start({ connack: () => Buffer.alloc(0) })
  cleanUp.push(() => broker.close())
  const sink = run(new MqttStringReceiver(broker.url, '#', { connectTimeout: '50ms', reconnectMaxDelay: '20ms' }))
  await broker.accepted(1)
  expect(sink.reports[0]?.error).toMatchObject({
    code: 'MQTT_UNREACHABLE',
    message: expect.stringContaining('it did not answer within 50 ms'),
  })
})
