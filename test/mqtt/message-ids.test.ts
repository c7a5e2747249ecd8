/** Messages that come again under other packet ids: from a broker that fell back to an old snapshot, and from another broker. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MqttStringReceiver, StreamingContext } from 'millrace'
import sparkplug from 'sparkplug-payload'
import { afterEach, describe, expect, it } from 'vitest'
import { Log } from '../../dist/log.js'
import { BLOCK_HEADER_LENGTH, type MqttMessage, newSession, writeBlockHeader } from '../../src/mqtt/message-block.js'
import { MessageIds } from '../../src/mqtt/message-ids.js'
import { MqttMessageReceiver } from '../../src/mqtt/mqtt-message-receiver.js'
import type { MqttReceiverOptions } from '../../src/mqtt/mqtt-options.js'
import { mqttSink } from '../../src/mqtt/mqtt-sink.js'
import { sparkplugMessageId } from '../../src/mqtt/sparkplug-message-id.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { publish as publishFrame } from '../support/frames.js'
import { Mosquitto } from '../support/mosquitto.js'

const roomy = ['max_queued_messages 1000000', 'max_inflight_messages 1000', 'autosave_interval 0']
const count = 300
const patience = { timeout: 120_000 }
const byPayload = (message: MqttMessage): string => Buffer.from(message.payload).toString()

const cleanUp: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean()
})

async function broker(): Promise<Mosquitto> {
  const made = await Mosquitto.start({ persistence: true, config: roomy })
  cleanUp.push(() => made.close())
  return made
}

/** A receiver of `n/#` that is not connected, while the brokers have its session. */
async function away(brokers: readonly Mosquitto[], options: MqttReceiverOptions) {
  const settings = { clientId: 'ids', qos: 1, reconnectMaxDelay: '50ms', ...options } as const
  for (const { url } of brokers) await makeSession(url, settings)
  const urls = brokers.map(({ url }) => url)
  const receiver = new MqttMessageReceiver(urls, 'n/#', settings)
  const sink = new CollectingSink<MqttMessage>(receiver)
  cleanUp.push(() => receiver.onStop())
  return { receiver, sink }
}

/** It is there when a message published under it comes through. */
async function makeSession(url: string, options: MqttReceiverOptions): Promise<void> {
  const receiver = new MqttMessageReceiver(url, 'n/#', { ...options, messageId: () => null })
  const sink = new CollectingSink<MqttMessage>(receiver)
  void receiver.onStart()
  const hello = mqttSink<string>(url, { topic: 'n/hello' })
  while (sink.messages === 0) {
    await hello(['hello'])
    await sink.until(() => sink.messages > 0, 200).catch(() => {})
  }
  await receiver.onStop()
}

async function publish(url: string, from: number, to: number): Promise<void> {
  const send = mqttSink<number>(url, { topic: 'n/1', payload: String, qos: 1 })
  await send(Array.from({ length: to - from }, (_, i) => from + i))
}

/** Takes a snapshot of what the broker has now: `restore` goes back to it, as a broker does that is killed between two snapshots. */
async function snapshot(of: Mosquitto): Promise<() => Promise<void>> {
  const data = join(of.directory, 'mosquitto.db')
  await of.end('SIGTERM')
  await copyFile(data, `${data}.old`)
  await of.restart()
  return async () => {
    await of.end('SIGKILL')
    await copyFile(`${data}.old`, data)
    await of.restart()
  }
}

const numbersOf = (sink: CollectingSink<MqttMessage>): number[] =>
  sink.records
    .filter(({ topic }) => topic === 'n/1')
    .map((message) => Number(byPayload(message)))
    .sort((a, b) => a - b)
const numbers = (to: number): number[] => Array.from({ length: to }, (_, i) => i)

describe('a broker that fell back to an old snapshot of itself', () => {
  it('repeats what it had its acknowledgement for; the id of a message tells', patience, async () => {
    const mosquitto = await broker()
    const { receiver, sink } = await away([mosquitto], { messageId: byPayload })
    await publish(mosquitto.url, 0, count)
    const restore = await snapshot(mosquitto)
    void receiver.onStart()
    await sink.until(() => numbersOf(sink).length === count)
    await restore()
    await sink.until(() => receiver.status!.duplicatesRemoved >= count)
    await publish(mosquitto.url, count, count + 10)
    await sink.until(() => numbersOf(sink).length >= count + 10)
    expect(numbersOf(sink)).toEqual(numbers(count + 10))
    expect(receiver.status).toMatchObject({ duplicatesPossible: 0, otherSessions: 0 })
    expect(sink.codes).not.toContain('MQTT_DUPLICATES_POSSIBLE')
  })

  it('is noticed by its packet ids without one, reported, and counted', patience, async () => {
    const mosquitto = await broker()
    const { receiver, sink } = await away([mosquitto], {})
    await publish(mosquitto.url, 0, count)
    const restore = await snapshot(mosquitto)
    void receiver.onStart()
    await sink.until(() => numbersOf(sink).length === count)
    // No acknowledgement is on its way any more: packet ids and content cannot help.
    await sink.until(() => receiver.status!.unacknowledged === 0)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await restore()
    await sink.until(() => numbersOf(sink).length + receiver.status!.duplicatesRemoved >= 2 * count)
    const { duplicatesPossible, duplicatesRemoved } = receiver.status!
    expect(duplicatesPossible + duplicatesRemoved).toBe(count)
    expect(duplicatesPossible).toBeGreaterThan(0)
    expect(sink.codes).toContain('MQTT_DUPLICATES_POSSIBLE')
    await publish(mosquitto.url, count, count + 10)
    await sink.until(() => numbersOf(sink).includes(count + 9))
    expect(receiver.status!.duplicatesPossible).toBe(duplicatesPossible)
  })

  it('does not deceive the next run of a job either, whose log knows the ids', patience, async () => {
    const mosquitto = await broker()
    await makeSession(mosquitto.url, { clientId: 'ids', qos: 1 })
    await publish(mosquitto.url, 0, count)
    const restore = await snapshot(mosquitto)
    const directory = await mkdtemp(join(tmpdir(), 'millrace-ids-'))
    cleanUp.push(() => rm(directory, { recursive: true, force: true }))
    const seen: number[] = []
    const run = async (until: number): Promise<void> => {
      const ssc = new StreamingContext({ appName: 'ids', batchInterval: 50 }, { log: new Log('silent') })
      ssc.checkpoint(directory)
      const options = { clientId: 'ids', messageId: byPayload, reconnectMaxDelay: '50ms' }
      ssc.receiverStream(new MqttStringReceiver(mosquitto.url, 'n/1', options)).foreachRDD(async (rdd) => {
        seen.push(...(await rdd.collect()).map(Number))
      })
      await ssc.start()
      while (seen.length < until) await new Promise((resolve) => setTimeout(resolve, 20))
      await ssc.stop()
    }
    await run(count)
    // Batches that are done are forgotten; what came by them is not.
    await run(count)
    await restore()
    await publish(mosquitto.url, count, count + 10)
    await run(count + 10)
    expect(seen.sort((a, b) => a - b)).toEqual(numbers(count + 10))
  })
})

describe('after a fail-over to another broker that has the same messages', () => {
  it('each counts once, by its id', patience, async () => {
    const brokers = [await broker(), await broker()]
    const { receiver, sink } = await away(brokers, { messageId: byPayload })
    for (const { url } of brokers) await publish(url, 0, count)
    void receiver.onStart()
    await sink.until(() => numbersOf(sink).length === count)
    await brokers[0]!.end('SIGKILL')
    await sink.until(() => receiver.status!.duplicatesRemoved >= count)
    await publish(brokers[1]!.url, count, count + 10)
    await sink.until(() => numbersOf(sink).length >= count + 10)
    expect(numbersOf(sink)).toEqual(numbers(count + 10))
    expect(receiver.status!.otherSessions).toBe(1)
  })

  it('it is said, without ids, that duplicates are possible', patience, async () => {
    const brokers = [await broker(), await broker()]
    const { receiver, sink } = await away(brokers, {})
    void receiver.onStart()
    await sink.until(() => receiver.status?.isConnected === true)
    await brokers[0]!.end('SIGKILL')
    await sink.until(() => sink.codes.includes('MQTT_DUPLICATES_POSSIBLE'))
    expect(receiver.status!.otherSessions).toBe(1)
  })
})

/** A block of these payloads, as a receiver stores it. */
function block(...payloads: string[]): Buffer {
  const header = Buffer.alloc(BLOCK_HEADER_LENGTH)
  writeBlockHeader(header, { version: 5, isSessionResumed: false, connection: 1, session: newSession() })
  return Buffer.concat([
    header,
    ...payloads.map((payload, id) => publishFrame({ topic: 't', payload, qos: 1, id: id + 1 })),
  ])
}

function taken(ids: MessageIds, ...payloads: string[]): string[] {
  const bytes = block(...payloads)
  const { end } = ids.compact(bytes)
  const rest = bytes.subarray(BLOCK_HEADER_LENGTH, end).toString('latin1')
  return payloads.filter((payload, index) => rest.includes(payload) && payloads.indexOf(payload) === index)
}

describe('the memory of ids', () => {
  it('leaves out what it knows, also within a block, and keeps what has no id', () => {
    const ids = new MessageIds(
      (message) => (byPayload(message) === '---' ? null : byPayload(message)),
      10,
      () => {},
    )
    expect(taken(ids, 'aaa', 'bbb', 'aaa', '---')).toEqual(['aaa', 'bbb', '---'])
    expect(taken(ids, 'bbb', '---', 'ccc')).toEqual(['---', 'ccc'])
    expect([ids.removed, ids.withoutId]).toEqual([2, 2])
  })

  it('is bounded: at least so many, at most twice as many', () => {
    const ids = new MessageIds(byPayload, 3, () => {})
    taken(ids, 'a00', 'a01', 'a02', 'a03', 'a04', 'a05', 'a06')
    expect(taken(ids, 'a04', 'a05', 'a06')).toEqual([])
    expect(taken(ids, 'a00')).toEqual(['a00'])
  })

  it('knows what an earlier run stored, and not what could not be stored', () => {
    const ids = new MessageIds(byPayload, 10, () => {})
    ids.recovered(block('old'))
    expect(taken(ids, 'old', 'new')).toEqual(['new'])
    ids.forget(block('new'))
    expect(taken(ids, 'new')).toEqual(['new'])
  })

  it('takes a message for one without an id when the function throws, and says so', () => {
    const errors: unknown[] = []
    const ids = new MessageIds(
      (message) => JSON.parse(byPayload(message)).id,
      10,
      (error) => errors.push(error),
    )
    expect(taken(ids, '{"id":1}', 'no json', '{"id":1}', 'no json!')).toEqual(['{"id":1}', 'no json', 'no json!'])
    expect(errors.length).toBe(2)
  })
})

it('a Sparkplug message has the id of its topic, time and sequence number', () => {
  const payload = (timestamp: number, seq: number): Uint8Array =>
    sparkplug.get('spBv1.0')!.encodePayload({
      timestamp,
      seq,
      metrics: [{ name: 'temp', type: 'Double', value: 21.5, timestamp: 5 }],
    })
  const topic = 'spBv1.0/plant/DDATA/line1/press'
  const message = (bytes: Uint8Array): MqttMessage => ({ topic, payload: bytes, qos: 1, retain: false, dup: false })
  expect(sparkplugMessageId(message(payload(1_700_000_000_000, 255)))).toBe(`${topic} 1700000000000 255`)
  expect(sparkplugMessageId(message(payload(1_700_000_000_000, 0)))).toBe(`${topic} 1700000000000 0`)
  expect(sparkplugMessageId(message(Buffer.from('{"no":"protobuf"}')))).toBe(null)
})
