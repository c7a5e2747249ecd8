/** CBOR and Sparkplug B payloads, read as a task reads them from a stored block. */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { writeBlockHeader } from '../../src/mqtt/message-block.js'
import { MqttCborReceiver } from '../../src/mqtt/mqtt-cbor-receiver.js'
import type { DeadLetter } from '../../src/mqtt/mqtt-decoding-receiver.js'
import { MqttSparkplugReceiver } from '../../src/mqtt/mqtt-sparkplug-receiver.js'
import { optionalPackage } from '../../src/mqtt/optional-package.js'
import { type PublishParts, publish } from '../support/frames.js'

const require = createRequire(import.meta.url)
const cbor = require('cbor') as { encode(value: unknown): Buffer }
const sparkplug = require('sparkplug-payload').get('spBv1.0') as { encodePayload(payload: object): Uint8Array }

function block(...messages: PublishParts[]): Buffer {
  const header = Buffer.alloc(16)
  writeBlockHeader(header, { version: 5, isSessionResumed: false, connection: 1, session: '00'.repeat(8) })
  return Buffer.concat([header, ...messages.map(publish)])
}

test('CBOR values are records, and a payload that is none is a dead letter', () => {
  const letters: DeadLetter[] = []
  const receiver = new MqttCborReceiver('mqtt://localhost', '#', { onMalformed: (letter) => letters.push(letter) })
  const value = { id: 7, v: 21.5, name: 'ä', list: [1, null, true], bytes: new Uint8Array([1, 2]) }
  const bytes = block(
    { topic: 'a', payload: cbor.encode(value) },
    { topic: 'bad', payload: Buffer.from([0xff, 1]) },
    { topic: 'b', payload: cbor.encode(3) },
  )
  const [records] = [...receiver.readBlock(bytes)]
  expect(records).toEqual([value, 3])
  expect(letters.map((letter) => letter.topic)).toEqual(['bad'])
})

test('Sparkplug B messages have their place and their metrics', () => {
  const letters: DeadLetter[] = []
  const receiver = new MqttSparkplugReceiver('mqtt://localhost', 'spBv1.0/#', {
    onMalformed: (letter) => letters.push(letter),
  })
  const payload = sparkplug.encodePayload({
    timestamp: 1_700_000_000_000,
    seq: 3,
    metrics: [
      { name: 'temp', type: 'Double', value: 21.5, timestamp: 1_700_000_000_001 },
      { name: 'count', alias: 9, type: 'UInt64', value: 5 },
      { name: 'on', type: 'Boolean', value: true },
      { name: 'label', type: 'String', value: 'ä' },
    ],
  })
  const bytes = block(
    { topic: 'spBv1.0/plant/DDATA/line1/press', payload },
    { topic: 'spBv1.0/STATE/host', payload: '{"online":true}' },
    { topic: 'spBv1.0/plant/NDATA/line1', payload: Buffer.from([0xff, 0xff, 0xff]) },
  )
  const [records] = [...receiver.readBlock(bytes)]
  expect(records).toEqual([
    {
      group: 'plant',
      type: 'DDATA',
      edgeNode: 'line1',
      device: 'press',
      timestamp: 1_700_000_000_000,
      sequence: 3,
      metrics: [
        { name: 'temp', alias: null, type: 'Double', timestamp: 1_700_000_000_001, value: 21.5 },
        { name: 'count', alias: 9, type: 'UInt64', timestamp: null, value: 5 },
        { name: 'on', alias: null, type: 'Boolean', timestamp: null, value: true },
        { name: 'label', alias: null, type: 'String', timestamp: null, value: 'ä' },
      ],
    },
  ])
  expect(letters.map((letter) => letter.topic)).toEqual(['spBv1.0/STATE/host', 'spBv1.0/plant/NDATA/line1'])
})

test('a package that is not installed is named with how to install it', () => {
  expect(() => optionalPackage('not-a-package-of-anyone', 'MqttCborReceiver')).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('npm install not-a-package-of-anyone'),
    }),
  )
})
