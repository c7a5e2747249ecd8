/** The tap over bytes: what it takes, what it refuses, and that no input can break it. */
import fc from 'fast-check'
import { generate } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/errors.js'
import { BLOCK_HEADER_LENGTH, BlockReader, type MqttMessage, writeBlockHeader } from '../../src/mqtt/message-block.js'
import { PublishTap } from '../../src/mqtt/publish-tap.js'
import { connack, frame, publish, random, text } from '../support/frames.js'

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)

/** A tap with the buffer a socket would have: bytes that were not taken wait for more. */
class Feed {
  readonly controls: number[] = []
  readonly blocks: Buffer[] = []
  readonly acks: number[] = []
  readonly replies: number[] = []
  readonly tap: PublishTap
  readonly version: 4 | 5
  #waiting: Buffer = Buffer.alloc(0)

  constructor(
    version: 4 | 5,
    options: { topicAliasMaximum?: number; maximumPacketSize?: number; openIds?: Uint8Array } = {},
  ) {
    this.version = version
    this.tap = new PublishTap({
      version,
      maximumPacketSize: options.maximumPacketSize ?? 1_000_000,
      topicAliasMaximum: options.topicAliasMaximum ?? 0,
      headerLength: BLOCK_HEADER_LENGTH,
      openIds: options.openIds ?? new Uint8Array(65_536),
      onControl: (packet) => this.controls.push(packet[0]!),
    })
    this.feed(connack(version))
  }

  feed(bytes: Uint8Array, limit = Number.MAX_SAFE_INTEGER): this {
    const buffer = Buffer.concat([Buffer.alloc(BLOCK_HEADER_LENGTH), this.#waiting, bytes])
    this.#waiting = buffer.subarray(BLOCK_HEADER_LENGTH)
    try {
      this.#waiting = buffer.subarray(this.tap.walk(buffer, BLOCK_HEADER_LENGTH, buffer.length, limit))
    } finally {
      const taken = this.tap.take(buffer)
      if (taken !== null) {
        writeBlockHeader(taken.bytes, {
          version: this.version,
          isSessionResumed: false,
          connection: 1,
          session: '00'.repeat(8),
        })
        this.blocks.push(taken.bytes)
        for (let at = 0; at < taken.acks.length; at += 4) this.acks.push(taken.acks.readUInt32BE(at))
      }
      const replies = this.tap.takeReplies()
      if (replies !== null) for (let at = 0; at < replies.length; at += 4) this.replies.push(replies.readUInt32BE(at))
    }
    return this
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get messages(): MqttMessage[] {
    const found: MqttMessage[] = []
    const reader = new BlockReader(Buffer.concat(this.blocks))
    while (reader.next()) found.push(reader.toMessage())
    return found
  }
}

const user = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x26]), text(name), text(value)])

describe('messages', () => {
  test('are the same wherever the bytes are split', () => {
    for (const version of [4, 5] as const) {
      const properties = version === 5 ? [...user('k', 'ü'), 1, 1] : null
      const stream = Buffer.concat([
        publish({ topic: 'a/b', payload: 'one', properties: version === 5 ? [] : null }),
        publish({ topic: 'ä/漢', payload: 'x'.repeat(200), qos: 1, id: 258, retain: true, properties }),
        Buffer.from([0xd0, 0]),
        publish({ topic: 'c', qos: 2, id: 3, dup: true, properties }),
        Buffer.from([0x62, 2, 0, 3]),
        publish({ topic: 'c', payload: 'z', qos: 1, id: 4, properties: version === 5 ? [] : null }),
      ])
      const whole = new Feed(version).feed(stream)
      expect(whole.messages.map((one) => [one.topic, one.qos, one.retain, one.dup, one.payload.length])).toEqual([
        ['a/b', 0, false, false, 3],
        ['ä/漢', 1, true, false, 200],
        ['c', 2, false, true, 0],
        ['c', 1, false, false, 1],
      ])
      expect(whole.acks).toEqual([0x40020102, 0x50020003, 0x40020004])
      expect(whole.replies).toEqual([0x70020003])
      expect(whole.controls).toEqual([0x20, 0xd0])
      for (let first = 0; first <= stream.length; first++) {
        for (let second = first; second <= stream.length; second += 7) {
          const split = new Feed(version)
          for (const part of [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)])
            split.feed(part)
          expect(split.messages).toEqual(whole.messages)
          expect(split.acks).toEqual(whole.acks)
          expect(split.waiting).toBe(0)
        }
      }
    }
  })

  test('are what another encoder put in', () => {
    const bytes = fc.uint8Array({ maxLength: 300 })
    const name = fc
      .string({ minLength: 1, maxLength: 40, unit: 'binary' })
      .filter((one) => !/[+#]/.test(one) && !one.includes('\u0000'))
    const words = fc.string({ maxLength: 20, unit: 'binary' }).filter((one) => !one.includes('\u0000'))
    const properties = fc.record(
      {
        payloadFormatIndicator: fc.boolean(),
        messageExpiryInterval: fc.nat(),
        contentType: words,
        responseTopic: name,
        correlationData: bytes.map((one) => Buffer.from(one)),
        userProperties: fc.dictionary(
          words.filter((key) => key !== '__proto__'),
          words,
          { minKeys: 1, maxKeys: 3 },
        ),
        subscriptionIdentifier: fc.integer({ min: 1, max: 268_435_455 }),
      },
      { requiredKeys: [] },
    )
    const message = fc.record({
      topic: name,
      payload: bytes,
      qos: fc.constantFrom(0, 1, 2),
      retain: fc.boolean(),
      properties,
    })
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.constantFrom(4 as const, 5 as const),
        fc.integer({ min: 1, max: 64 }),
        (messages, version, step) => {
          const stream = Buffer.concat(
            messages.map((one, i) =>
              generate(
                {
                  cmd: 'publish',
                  dup: false,
                  messageId: i + 1,
                  ...one,
                  qos: one.qos as 0,
                  payload: Buffer.from(one.payload),
                  length: 0,
                } as never,
                { protocolVersion: version },
              ),
            ),
          )
          const feed = new Feed(version)
          for (let at = 0; at < stream.length; at += step) feed.feed(stream.subarray(at, at + step))
          expect(feed.messages.map(({ topic, payload, qos, retain }) => ({ topic, payload, qos, retain }))).toEqual(
            messages.map(({ topic, payload, qos, retain }) => ({ topic, payload, qos, retain })),
          )
          if (version === 4) return
          for (const [i, { properties: got }] of feed.messages.entries()) {
            const { subscriptionIdentifier, userProperties, correlationData, ...simple } = messages[i]!.properties
            expect(got ?? {}).toMatchObject({
              ...simple,
              ...(correlationData === undefined ? {} : { correlationData: new Uint8Array(correlationData) }),
              ...(subscriptionIdentifier === undefined ? {} : { subscriptionIdentifiers: [subscriptionIdentifier] }),
              ...(userProperties === undefined ? {} : { userProperties: Object.entries(userProperties) }),
            })
          }
        },
      ),
      { numRuns: 300 * budget },
    )
  })

  test('are taken up to a limit, and the rest when there is more', () => {
    const feed = new Feed(4)
    const stream = Buffer.concat(
      Array.from({ length: 10 }, (_, i) =>
        publish({ topic: 't', payload: String(i), qos: 1, id: i + 1, properties: null }),
      ),
    )
    feed.feed(stream, 3)
    expect(feed.messages).toHaveLength(3)
    expect(feed.tap.isLimited).toBe(true)
    feed.feed(Buffer.alloc(0), 0)
    expect(feed.messages).toHaveLength(3)
    feed.feed(Buffer.alloc(0))
    expect(feed.messages.map((one) => Buffer.from(one.payload).toString()).join('')).toBe('0123456789')
    expect(feed.tap.isLimited).toBe(false)
  })

  test('of QoS 2 are taken once, acknowledged each time, and free again after PUBREL', () => {
    const openIds = new Uint8Array(65_536)
    const one = (dup: boolean): Buffer => publish({ topic: 't', payload: 'x', qos: 2, id: 7, dup })
    const first = new Feed(5, { openIds }).feed(one(false))
    const again = new Feed(5, { openIds }).feed(one(true)).feed(publish({ topic: 't', payload: 'y', qos: 2, id: 8 }))
    expect([...first.messages, ...again.messages].map((message) => Buffer.from(message.payload).toString())).toEqual([
      'x',
      'y',
    ])
    expect(again.acks).toEqual([0x50020007, 0x50020008])
    expect(again.tap.repeated).toBe(1)
    again.feed(Buffer.from([0x62, 3, 0, 7, 0])).feed(one(false))
    expect(again.replies).toEqual([0x70020007])
    expect(again.messages).toHaveLength(2)
  })

  test('with a topic alias get their topic back, and the stored frame does not depend on the alias', () => {
    const alias = (n: number): number[] => [0x23, n >> 8, n & 255]
    const feed = new Feed(5, { topicAliasMaximum: 300 })
    feed.feed(publish({ topic: 'long/topic', payload: '1', properties: alias(300) }))
    feed.feed(publish({ topic: '', payload: '2', qos: 1, id: 9, properties: [...user('a', 'b'), ...alias(300), 1, 1] }))
    feed.feed(publish({ topic: 'other', payload: '3', properties: alias(300) }))
    feed.feed(publish({ topic: '', payload: '4'.repeat(200), qos: 2, id: 5, properties: alias(300) }))
    expect(feed.messages.map((one) => [one.topic, one.payload.length, one.properties?.userProperties])).toEqual([
      ['long/topic', 1, undefined],
      ['long/topic', 1, [['a', 'b']]],
      ['other', 1, undefined],
      ['other', 200, undefined],
    ])
    expect(feed.acks).toEqual([0x40020009, 0x50020005])
  })
})

describe('what breaks the protocol is refused with its reason', () => {
  const alias = [0x23, 0, 1]
  const cases: [string, 4 | 5, Buffer, number][] = [
    ['QoS 3', 5, frame(0x36, text('t'), [0, 1, 0]), 0x81],
    ['DUP at QoS 0', 5, publish({ topic: 't', dup: true }), 0x81],
    ['packet identifier 0', 5, publish({ topic: 't', qos: 1, id: 0 }), 0x82],
    ['a remaining length of five bytes', 4, Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), 0x81],
    ['a packet over the limit', 5, publish({ topic: 't', payload: 'x'.repeat(2000) }), 0x95],
    ['a packet that says it will be over the limit', 5, Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), 0x95],
    ['a topic longer than its packet', 4, frame(0x30, [0, 9, 65]), 0x81],
    ['no room for a topic', 4, frame(0x30, [0]), 0x81],
    ['no room for the packet identifier', 4, frame(0x32, text('t'), [1]), 0x81],
    ['no properties length', 5, frame(0x30, text('t')), 0x81],
    ['properties longer than the packet', 5, frame(0x30, text('t'), [9, 1]), 0x81],
    ['a malformed properties length', 5, frame(0x30, text('t'), [0xff, 0xff, 0xff, 0xff, 1]), 0x81],
    ['a topic that is not UTF-8', 5, publish({ topic: Buffer.from([0x61, 0xc3, 0x28]) }), 0x81],
    ['a topic with a surrogate', 5, publish({ topic: Buffer.from([0xed, 0xa0, 0x80]) }), 0x81],
    ['a topic with U+0000', 5, publish({ topic: 'a\u0000b' }), 0x81],
    ['a topic with +', 5, publish({ topic: 'a/+/b' }), 0x90],
    ['a topic with #', 4, publish({ topic: 'a/#', properties: null }), 0x90],
    ['an empty topic', 4, publish({ topic: '', properties: null }), 0x82],
    ['an empty topic without alias', 5, publish({ topic: '' }), 0x82],
    ['a topic alias nobody allowed', 5, publish({ topic: 't', properties: alias }), 0x94],
    ['topic alias 0', 5, publish({ topic: 't', properties: [0x23, 0, 0] }), 0x82],
    ['a property of other packets', 5, publish({ topic: 't', properties: [0x11, 0, 0, 0, 1] }), 0x82],
    ['a property twice', 5, publish({ topic: 't', properties: [1, 1, 1, 1] }), 0x82],
    ['a property cut short', 5, publish({ topic: 't', properties: [3, 0, 9, 65] }), 0x81],
    ['SUBSCRIBE from the broker', 5, frame(0x82, [0, 1, 0], text('a'), [0]), 0x82],
    ['PUBACK for nothing', 4, Buffer.from([0x40, 2, 0, 1]), 0x82],
    ['DISCONNECT in MQTT 3.1.1', 4, Buffer.from([0xe0, 0]), 0x82],
    ['PUBREL with the wrong flags', 5, Buffer.from([0x60, 2, 0, 1]), 0x82],
    ['PUBREL without an identifier', 5, Buffer.from([0x62, 1, 0]), 0x81],
    ['a control packet of a megabyte', 5, Buffer.from([0x90, 0x80, 0x80, 0x40]), 0x95],
    ['a second CONNACK', 5, connack(5), 0x82],
    ['packet type 0', 5, Buffer.from([0x00, 0]), 0x82],
  ]
  test.each(cases)('%s (MQTT %i)', (_, version, bytes, reasonCode) => {
    const limit = { maximumPacketSize: reasonCode === 0x95 ? 1000 : 1_000_000 }
    const good = publish({ topic: 'good', payload: 'kept', properties: version === 5 ? [] : null })
    for (const step of [1, bytes.length + good.length]) {
      const feed = new Feed(version, limit)
      const stream = Buffer.concat([good, bytes])
      expect(() => {
        for (let at = 0; at < stream.length; at += step) feed.feed(stream.subarray(at, at + step))
      }).toThrow(expect.objectContaining({ code: 'MQTT_PROTOCOL_ERROR', details: { reasonCode } }))
      expect(feed.messages.map((one) => one.topic)).toEqual(['good'])
    }
  })

  test('a message before CONNACK', () => {
    const tap = new PublishTap({
      version: 5,
      maximumPacketSize: 1000,
      topicAliasMaximum: 0,
      headerLength: 0,
      openIds: new Uint8Array(65_536),
      onControl: () => {},
    })
    const bytes = publish({ topic: 't' })
    expect(() => tap.walk(bytes, 0, bytes.length, 1)).toThrow(
      expect.objectContaining({ details: { reasonCode: 0x82 } }),
    )
  })
})

test('a million frames, valid, mutated and random, in pieces of any size: messages or a named error, nothing else', () => {
  const pick = random(20261122)
  const wanted = 1_000_000 * budget
  const topics = ['a', 'plant/line1/sensor7/temp', 'ä/漢', 'x'.repeat(130)]
  let frames = 0
  let refused = 0
  const codes = new Set<unknown>()
  while (frames < wanted) {
    const version = pick(2) === 0 ? 4 : 5
    const parts: Buffer[] = []
    const count = 1 + pick(200)
    for (let i = 0; i < count; i++) {
      const qos = pick(3)
      const properties =
        version === 4
          ? null
          : pick(3) > 0
            ? []
            : [[1, 1], [2, 0, 0, 0, 9], [0x0b, 0x81, 1], [0x23, 0, 1 + pick(4)], [...user('k', 'v')], [8, 0, 1, 65]][
                pick(6)
              ]!
      parts.push(
        pick(20) === 0
          ? Buffer.from(
              [
                [0xd0, 0],
                [0x62, 2, 0, 1 + pick(200)],
                [0x90, 3, 0, 1, 0],
              ][pick(3)]!,
            )
          : publish({
              topic: topics[pick(topics.length)]!,
              payload: Buffer.alloc(pick(90), i),
              qos,
              id: 1 + pick(300),
              retain: pick(2) === 0,
              properties,
            }),
      )
    }
    const stream = Buffer.concat(parts)
    for (let mutations = pick(3); mutations > 0; mutations--) stream[pick(stream.length)] = pick(256)
    const feed = new Feed(version, { topicAliasMaximum: 4, maximumPacketSize: 5000 })
    try {
      for (let at = 0; at < stream.length; ) {
        const step = 1 + pick([3, 50, 5000][pick(3)]!)
        feed.feed(stream.subarray(at, at + step), pick(4) === 0 ? pick(20) : Number.MAX_SAFE_INTEGER)
        at += step
      }
      feed.feed(Buffer.alloc(0))
      // What waits is one incomplete frame, and no larger than the limit allows.
      if (feed.waiting > 5000) throw new Error(`${feed.waiting} bytes wait`)
    } catch (error) {
      if (!MillraceError.is(error, 'MQTT_PROTOCOL_ERROR')) throw error
      codes.add(error.details.reasonCode)
      refused += 1
    }
    // What the tap has walked: not what lay behind a frame it refused.
    frames += feed.messages.length + feed.tap.repeated + feed.controls.length + feed.replies.length
    for (const message of feed.messages)
      if (message.topic === '' || message.payload.length > 5000) throw new Error('a message that cannot be')
  }
  expect(frames).toBeGreaterThanOrEqual(1_000_000)
  expect(refused).toBeGreaterThan(1000)
  expect([...codes].sort()).toEqual([0x81, 0x82, 0x90, 0x94, 0x95])
}, 600_000)
