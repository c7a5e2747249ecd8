/** Messages that cannot be decoded: logged with their topic, counted, published elsewhere, and the stream goes on. */
import { deadLetterTopic, type MqttMessage, StreamingContext } from 'millrace'
import { afterEach, expect, test, vi } from 'vitest'
import { MqttJsonReceiver as BuiltJsonReceiver } from '../../dist/mqtt/mqtt-decoding-receiver.js'
import { MqttMessageReceiver } from '../../src/mqtt/mqtt-message-receiver.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { Mosquitto } from '../support/mosquitto.js'

const cleanUp: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function brokerWithListener(config: readonly string[] = [], files: Record<string, string> = {}) {
  const broker = await Mosquitto.start({ config, files })
  cleanUp.push(() => broker.close())
  const receiver = new MqttMessageReceiver(broker.url, 'dead/#', { qos: 2 })
  const heard = new CollectingSink<MqttMessage>(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  await heard.until(() => broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
  return { broker, heard }
}

/** A job that sums the `v` of readings; what it prints to the log is collected. */
async function sums(broker: Mosquitto, options: { deadTopic: string }) {
  const written: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  cleanUp.push(() => write.mockRestore())
  const receiver = new BuiltJsonReceiver<{ v: number }>(broker.url, 'plant/#', {
    onMalformed: deadLetterTopic(broker.url, { topic: options.deadTopic }),
  })
  const ssc = new StreamingContext({ appName: 'sums', batchInterval: '200ms' })
  cleanUp.push(() => ssc.stop())
  const found = { sum: 0, written, receiver, errors: [] as string[] }
  ssc.addStreamingListener({ onReceiverError: ({ lastError }) => void found.errors.push(lastError) })
  ssc.receiverStream(receiver).foreachRDD(async (rdd) => {
    found.sum += (await rdd.collect()).reduce((sum, { v }) => sum + v, 0)
  })
  await ssc.start()
  while (!broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
    await new Promise((done) => setTimeout(done, 10))
  return found
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 10))
}

test('a dead letter is published as it came, with where from and why, and the others are decoded', async () => {
  const { broker, heard } = await brokerWithListener()
  const found = await sums(broker, { deadTopic: 'dead/readings' })
  const unit = ['-V', '5', '-D', 'publish', 'user-property', 'unit', 'C']
  await broker.publish('plant/1', '{"v": 20}', ...unit)
  await broker.publish('plant/2', Buffer.from('{"v": 2\u0000'), ...unit)
  await broker.publish('plant/3', '{"v": 22}', ...unit)
  await heard.until(() => heard.records.length === 1)
  await until(() => found.sum === 42)
  expect(heard.records[0]).toMatchObject({
    topic: 'dead/readings',
    payload: new Uint8Array(Buffer.from('{"v": 2\u0000')),
  })
  const [given, from, why] = heard.records[0]!.properties!.userProperties!
  expect([given, from]).toEqual([
    ['unit', 'C'],
    ['millrace-topic', 'plant/2'],
  ])
  expect(why).toEqual(['millrace-error', expect.stringContaining('JSON')])
  expect(found.receiver.malformedMessages).toBe(1)
  const lines = found.written.filter((line) => line.includes('cannot be decoded'))
  expect(lines).toEqual([
    expect.stringMatching(/level=warn .*receiver=MqttJsonReceiver topic=plant\/2 bytes=8 malformed=1/),
  ])
  expect(found.errors).toEqual([])
})

test('a letter the broker refuses is logged, and neither the receiver nor the batch fails', async () => {
  const acl = 'topic readwrite plant/#\ntopic read dead/#\n'
  const { broker } = await brokerWithListener(['acl_file %dir%/acl'], { acl })
  const found = await sums(broker, { deadTopic: 'dead/readings' })
  for (const payload of ['nothing', '{"v": 1}', 'nor this']) await broker.publish('plant/1', payload)
  await until(() => found.written.filter((line) => line.includes('could not be published')).length === 2)
  await broker.publish('plant/1', '{"v": 2}')
  await until(() => found.sum === 3)
  expect(found.written.join('')).toContain('Not authorized (0x87)')
  expect(found.errors).toEqual([])
})

test('a letter that came from the topic it would go to is not published again', async () => {
  const { broker } = await brokerWithListener()
  const found = await sums(broker, { deadTopic: 'plant/dead' })
  await broker.publish('plant/1', 'broken')
  // It comes once more, by its own topic, and that is the end of it: the next one comes after it.
  await until(() => found.receiver.malformedMessages === 2)
  await broker.publish('plant/1', '{"v": 7}')
  await until(() => found.sum === 7)
  expect(found.receiver.malformedMessages).toBe(2)
})
