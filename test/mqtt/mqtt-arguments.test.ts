/** What an MqttReceiver is given that it cannot use: told at the call, with a code, and never with a password. */

import { describe, expect, test } from 'vitest'
import { BLOCK_HEADER_LENGTH, EARLIER_SESSION, writeBlockHeader } from '../../src/mqtt/message-block.js'
import { MqttJsonReceiver } from '../../src/mqtt/mqtt-decoding-receiver.js'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { publish } from '../support/frames.js'

const broker = 'mqtt://127.0.0.1:1883'
const code = (name: string) => expect.objectContaining({ code: name })
/** What the types forbid is what is tried. */
const make =
  (url: unknown, topics: unknown = 'a', options?: unknown) =>
  () =>
    new MqttStringReceiver(url as string, topics as string, options as object)

describe('a broker URL', () => {
  test.each([
    ['mqtt://127.0.0.1'],
    ['MQTT://127.0.0.1:1883'],
    ['mqtt://[::1]:1883'],
    ['ssl://joe:p%40ss@broker.example:8883'],
    ['wss://broker.example/mqtt'],
  ])('%s is taken', (url) => {
    expect(make(url)).not.toThrow()
  })

  test.each([
    [undefined],
    [null],
    [1883],
    [''],
    ['localhost'],
    ['localhost:1883'],
    ['http://broker.example'],
    ['mqtt://'],
    ['mqtt://:1883'],
    ['mqtt://127.0.0.1:0'],
    ['mqtt://127.0.0.1:99999'],
    ['mqtt://127.0.0.1/topic'],
    ['mqtt://127.0.0.1?user=joe'],
    [[]],
    [[broker, 'nonsense']],
  ])('%j is not one', (url) => {
    expect(make(url)).toThrow(code('MQTT_INVALID_URL'))
  })

  test('that is missing, as from an environment variable that is not set, is called so', () => {
    expect(make(undefined)).toThrow(/^undefined is not a broker URL: it is not a text/)
  })

  test.each([
    ['http://joe:hunter2@broker'],
    ['mqtt://joe:hunter2@broker:99999'],
    // Characters that should have been written as %2F, %3F, %40 or %23.
    ['mqtt://joe:hunter2/x@broker'],
    ['mqtt://joe:1/hunter2@broker'],
    ['mqtt://joe:hunter2?x@broker:99999'],
    ['mqtt://joe:x@hunter2@broker:99999'],
    ['mqtt://joe:hunter2#x@broker'],
    ['joe:hunter2@broker:1883'],
    ['mqtt:joe:hunter2@broker'],
    ['mqtt://broker?password=hunter2'],
    ['mqtt://joe:%hunter2@broker'],
  ])('%s is refused without a word of its password', (url) => {
    let said = ''
    try {
      make(url)()
    } catch (error) {
      said = JSON.stringify(error) + String((error as Error).stack)
    }
    expect(said).toContain('MQTT_INVALID_URL')
    expect(said).not.toContain('hunter2')
  })
})

test.each([
  [undefined, /needs a topic filter or an array of them, not undefined/],
  [null, /not null/],
  [5, /not the number 5/],
  [{ topic: 'a' }, /not an object of Object/],
  [[], /at least one/],
  ['', /at least one character/],
  [['a', ''], /at least one character/],
  [['a', 5], /at least one character/],
  ['a/#/b', /'#' must be the whole last level/],
  ['a#', /'#' must be the whole last level/],
  ['+a', /'\+' must be a whole level/],
  ['a/b+', /'\+' must be a whole level/],
  ['a\0b', /U\+0000/],
  ['\ud800', /half a surrogate pair/],
  ['$share/g', /\$share\/GROUP\/FILTER/],
  ['$share//a', /\$share\/GROUP\/FILTER/],
])('the topic filter %j is refused', (topics, text) => {
  const given =
    topics === undefined ? () => new MqttStringReceiver(broker, topics as unknown as string) : make(broker, topics)
  expect(given).toThrow(code('MQTT_INVALID_TOPIC_FILTER'))
  expect(given).toThrow(text)
})

test('a topic filter of more than 65,535 bytes is refused', () => {
  expect(make(broker, 'ä'.repeat(32_768))).toThrow(/65,535 bytes/)
  expect(make(broker, 'ä'.repeat(32_767))).not.toThrow()
})

test.each([
  [null, /MQTT options are an object, not null/],
  [5, /not the number 5/],
  [['qos', 1], /not an array/],
  [{ qualityOfService: 1 }, /qualityOfService.*Known options: .*qos/],
  [{ cleanSession: false }, /Did you mean clean\?/],
  [{ clean: 'no' as never }, /clean is wrong. Expected true or false/],
  [{ qos: 3 }, /one of 0, 1, 2, not 3/],
  [{ keepalive: 0 }, /from 1 to 65535, not 0/],
  [{ coalesce: 'soon' }, /coalesce is wrong.*duration/],
  [{ username: 7 }, /username.*not the number 7/],
  [{ username: 'joe', password: 12_345 }, /password is wrong\. Expected a text or a Buffer, not a number/],
  [{ password: 'hunter2' }, /password is wrong\. It needs a username beside it; .* ''\./],
])('the options %j are refused', (options, text) => {
  expect(make(broker, 'a', options)).toThrow(code('MQTT_INVALID_OPTION'))
  expect(make(broker, 'a', options)).toThrow(text)
  expect(make(broker, 'a', options)).not.toThrow(/hunter2|12345/)
})

test.each([[{ clean: false }], [{ sessionExpiryInterval: 60 }]])(
  'a durable session, asked for by %j, needs a client id',
  (options) => {
    expect(make(broker, 'a', options)).toThrow(code('MQTT_CLIENT_ID_REQUIRED'))
    expect(make(broker, 'a', { ...options, clientId: 'meter' })).not.toThrow()
    expect(make(`${broker}?clientId=meter`, 'a', options)).not.toThrow()
  },
)

test('a JSON receiver asks the processMqttMessages of its subclass', () => {
  class Lengths extends MqttJsonReceiver<number> {
    override processMqttMessages(payload: Buffer): number[] {
      return [payload.length]
    }
  }
  const block = Buffer.concat([Buffer.alloc(BLOCK_HEADER_LENGTH), publish({ topic: 't', payload: '{}' })])
  writeBlockHeader(block, { version: 5, isSessionResumed: false, connection: 1, session: EARLIER_SESSION })
  expect([...new Lengths('mqtt://localhost', 't').readBlock(block)].flat()).toEqual([2])
})
