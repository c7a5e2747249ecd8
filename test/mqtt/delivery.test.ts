/**
 * Delivery through real brokers while the network is cut and brokers are restarted and killed: numbered messages on ten topics. Afterwards nothing
 * acknowledged is missing, each topic is in order, and what came twice did so only where the protocol allows it (QoS 1).
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { MqttReceiverOptions } from '../../src/mqtt/mqtt-options.js'
import { Certificates } from '../support/certificates.js'
import { CuttingProxy } from '../support/cutting-proxy.js'
import { HiveMQ } from '../support/hivemq.js'
import { freePort, Mosquitto } from '../support/mosquitto.js'
import { NumberedMessages, patienceMs } from '../support/numbered-messages.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function receive(
  url: string,
  qos: 0 | 1 | 2,
  options: MqttReceiverOptions = {},
  publisherUrl: string = url,
): Promise<NumberedMessages> {
  const numbered = new NumberedMessages(url, qos, options)
  cleanUp.push(() => numbered.receiver.onStop())
  await numbered.start(publisherUrl)
  return numbered
}

const roomy = ['max_queued_messages 1000000', 'max_inflight_messages 1000', 'autosave_interval 0']

describe.each(['Mosquitto', 'Mosquitto over TLS', 'HiveMQ'] as const)('over network cuts, %s', (make) => {
  const count = 100_000 * budget
  const certificates = new Certificates()
  let broker: Mosquitto | HiveMQ
  let securePort = 0
  beforeAll(async () => {
    securePort = await freePort()
    broker =
      make === 'HiveMQ'
        ? await HiveMQ.start('in-memory')
        : await Mosquitto.start({
            config: [...roomy, `listener ${securePort} 127.0.0.1`, ...certificates.mosquitto],
          })
  }, patienceMs)
  afterAll(async () => {
    await broker.close()
    certificates.remove()
  })

  test.each([1, 2] as const)(
    'delivers everything at QoS %i',
    async (qos) => {
      const isSecure = make === 'Mosquitto over TLS'
      const proxy = await CuttingProxy.start(isSecure ? securePort : broker.port)
      cleanUp.push(() => proxy.close())
      const url = isSecure ? proxy.url.replace('mqtt:', 'mqtts:') : proxy.url
      const numbered = await receive(url, qos, isSecure ? { tls: { ca: certificates.pem('ca.pem') } } : {}, broker.url)
      const cuts = 10
      await Promise.all([numbered.publish(broker.url, count), numbered.cut(proxy, count, cuts)])
      await numbered.arrived(count)
      numbered.check(count)
      expect(proxy.cuts).toBeGreaterThanOrEqual(cuts)
      expect(numbered.receiver.status?.sessionsLost).toBe(0)
    },
    2 * patienceMs,
  )
})

describe.each(['Mosquitto', 'HiveMQ'] as const)('over the end of the broker, %s', (make) => {
  // HiveMQ needs a minute for a hundred thousand messages in its files: a budget of 5 has as many.
  const count = (make === 'HiveMQ' ? 20_000 : 100_000) * budget
  let broker: Mosquitto | HiveMQ
  beforeAll(async () => {
    broker = make === 'HiveMQ' ? await HiveMQ.start() : await Mosquitto.start({ persistence: true, config: roomy })
  }, patienceMs)
  afterAll(() => broker.close())

  test(
    'delivers everything at QoS 1 when the broker is restarted in the middle',
    async () => {
      const numbered = await receive(broker.url, 1)
      const { sink, receiver } = numbered
      const published = numbered.publish(broker.url, count)
      await sink.until(() => sink.records.length > count * 0.3, patienceMs)
      await broker.end('SIGTERM')
      await broker.restart()
      await published
      await numbered.arrived(count)
      numbered.check(count)
      expect(receiver.status?.connections).toBeGreaterThan(1)
      expect(sink.codes).not.toContain('MQTT_SESSION_LOST')
    },
    2 * patienceMs,
  )

  test(
    'redelivers what was not acknowledged when the broker is killed while a queue drains',
    async () => {
      const numbered = await receive(broker.url, 1)
      const { sink, receiver } = numbered
      await receiver.onStop()
      await numbered.publish(broker.url, count)
      // Mosquitto keeps its queue in memory until told to save it; ending it in order is one way to tell it.
      await broker.end('SIGTERM')
      await broker.restart()
      void receiver.onStart()
      await sink.until(() => sink.records.length > count * 0.3, patienceMs)
      await broker.end('SIGKILL')
      await broker.restart()
      await numbered.arrived(count)
      numbered.check(count)
    },
    2 * patienceMs,
  )
})

describe('at QoS 0', () => {
  const count = 100_000 * budget

  test.each([
    ['a connection that holds, everything comes once, in order', 0],
    ['network cuts, nothing comes twice or out of order', 3],
  ])(
    'over %s',
    async (_, cuts) => {
      // What a subscriber does not read at once Mosquitto drops at QoS 0, unless its queue has no bound.
      const broker = await Mosquitto.start({ config: ['max_queued_messages 0', 'max_inflight_messages 0'] })
      cleanUp.push(() => broker.close())
      const proxy = await CuttingProxy.start(broker.port)
      cleanUp.push(() => proxy.close())
      const numbered = await receive(proxy.url, 0, {}, broker.url)
      if (cuts > 0) proxy.cutEvery(100_000)
      await numbered.publish(broker.url, count)
      await numbered.sink.until(() => proxy.cuts >= cuts, patienceMs)
      proxy.cutEvery(null)
      await numbered.flushed()
      const came = numbered.check(count)
      if (cuts === 0) expect(came).toBe(count)
    },
    2 * patienceMs,
  )
})

test('without persistence a restart of the broker loses the session, and that is reported', async () => {
  const broker = await Mosquitto.start()
  cleanUp.push(() => broker.close())
  const numbered = await receive(broker.url, 1)
  const { sink, receiver } = numbered
  await broker.end('SIGTERM')
  await broker.restart()
  await sink.until(() => sink.codes.includes('MQTT_SESSION_LOST'))
  expect(receiver.status?.sessionsLost).toBe(1)
  await sink.until(() => broker.log.split(`Sending SUBACK to ${receiver.clientId}`).length === 3)
  await numbered.publish(broker.url, 10)
  await numbered.arrived(10)
})
