/** Another client with the receiver's id, one that comes back as MQTT.js does: the receiver gives up by name, and the other one stays. */
import { connect } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { HiveMQ } from '../support/hivemq.js'
import { Mosquitto } from '../support/mosquitto.js'
import { patienceMs } from '../support/numbered-messages.js'

describe.each(['Mosquitto', 'HiveMQ'] as const)('%s', (make) => {
  let broker: Mosquitto | HiveMQ
  beforeAll(async () => {
    broker = make === 'HiveMQ' ? await HiveMQ.start('in-memory') : await Mosquitto.start()
  }, patienceMs)
  afterAll(() => broker.close())

  test.each([4, 5] as const)('MQTT version %i', async (protocolVersion) => {
    const clientId = `twin-${protocolVersion}`
    const receiver = new MqttStringReceiver(broker.url, 'x', { clientId, protocolVersion })
    const sink = new CollectingSink(receiver)
    void receiver.onStart()
    await sink.until(() => receiver.status?.isConnected === true)
    const twin = connect(broker.url, { clientId, protocolVersion, reconnectPeriod: 300 })
    twin.on('error', () => {})
    try {
      await sink.until(() => sink.stops.length === 1, 60_000)
      expect(sink.stops[0]?.error).toMatchObject({ code: 'MQTT_SESSION_TAKEN_OVER', details: { clientId } })
      // The reason is there in MQTT 5 from HiveMQ: then nothing is tried again at all.
      const tries = receiver.status?.connections ?? 0
      expect(tries).toBeLessThanOrEqual(make === 'HiveMQ' && protocolVersion === 5 ? 1 : 4)
      if (!twin.connected) await new Promise((resolve) => twin.once('connect', resolve))
      await twin.publishAsync('x', 'mine', { qos: 1 })
      expect(receiver.status?.connections).toBe(tries)
    } finally {
      await twin.endAsync(true)
      await receiver.onStop()
    }
  })
})
