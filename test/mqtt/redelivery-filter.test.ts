import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RedeliveryFilter, type StoredBlock } from '../../src/mqtt/redelivery-filter.js'

const runs = Math.ceil(1000 * Number(process.env.MILLRACE_BUDGET ?? 1))

interface Message {
  readonly id: number
  readonly text: string
  readonly qos: 0 | 1
  readonly topic: string
}

const message = (id: number, text: string, qos: 0 | 1 = 1, topic = 't'): Message => ({ id, text, qos, topic })

/** A PUBLISH frame; MQTT 5 frames carry a message expiry, which the broker counts down between one delivery and the next. */
function frame({ id, text, qos, topic }: Message, version: 4 | 5, dup = false): Buffer {
  const topicBytes = Buffer.from(topic)
  const length = Buffer.from([topicBytes.length >> 8, topicBytes.length & 0xff])
  const packetId = qos === 0 ? Buffer.alloc(0) : Buffer.from([id >> 8, id & 0xff])
  const properties = version === 5 ? Buffer.from([5, 2, 0, 0, 0, dup ? 9 : 10]) : Buffer.alloc(0)
  const body = Buffer.concat([length, topicBytes, packetId, properties, Buffer.from(text)])
  const remaining = body.length < 128 ? [body.length] : [(body.length % 128) | 128, Math.floor(body.length / 128)]
  return Buffer.concat([Buffer.from([0x30 | (dup ? 8 : 0) | (qos << 1), ...remaining]), body])
}

const frames = (messages: readonly Message[], version: 4 | 5, dup = false): Buffer =>
  Buffer.concat(messages.map((one) => frame(one, version, dup)))

function texts(bytes: Buffer, version: 4 | 5): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const long = bytes[at + 1]! >= 128
    const body = at + (long ? 3 : 2)
    const end = body + (long ? (bytes[at + 1]! & 127) + bytes[at + 2]! * 128 : bytes[at + 1]!)
    const skip = 2 + bytes.readUInt16BE(body) + ((bytes[at]! & 6) === 0 ? 0 : 2) + (version === 5 ? 6 : 0)
    found.push(bytes.toString('utf8', body + skip, end))
    at = end
  }
  return found
}

/** What the filter lets through of messages that come in one read. */
function receive(filter: RedeliveryFilter, messages: readonly Message[], version: 4 | 5 = 4, dup = false): string[] {
  const bytes = frames(messages, version, dup)
  const { end } = filter.compact(bytes, 0, bytes.length, version)
  return texts(bytes.subarray(0, end), version)
}

function inTail(bytes: Buffer, version: 4 | 5, openIds: readonly number[] = []): StoredBlock {
  return { bytes, start: 0, version, memory: null, hasAcknowledgements: true, openIds }
}

function store(filter: RedeliveryFilter, messages: readonly Message[], version: 4 | 5 = 4): void {
  filter.stored(inTail(frames(messages, version), version))
}

describe('the redelivery filter', () => {
  const sent = [1, 2, 3, 4, 5].map((id) => message(id, `m${id}`))

  it('leaves out what a resumed session repeats, whether or not the broker says so', () => {
    for (const dup of [false, true]) {
      const filter = new RedeliveryFilter()
      store(filter, sent.slice(0, 2))
      store(filter, sent.slice(2, 4))
      filter.connected(true)
      expect(receive(filter, [...sent.slice(1), message(6, 'm6')], 4, dup)).toEqual(['m5', 'm6'])
      expect(filter.metrics.recognised).toBe(3)
      expect(filter.isActive).toBe(false)
    }
  })

  it('keeps a message of QoS 2 in mind until the broker has released it', () => {
    const filter = new RedeliveryFilter()
    const block = frames(sent, 4)
    expect(filter.stored(inTail(block, 4, [1, 2, 3, 4, 5]))).toBe(0)
    expect(filter.completed(0)).toBe(-1)
    for (const id of [1, 2, 3, 4]) filter.released(id)
    filter.confirmed(filter.completed(0))
    // Cut twice, the broker begins those again whose release it had not told us yet.
    filter.connected(true)
    filter.connected(true)
    expect(receive(filter, [...sent, message(6, 'm6')], 4, true)).toEqual(['m6'])
    filter.connected(false)
    filter.stored(inTail(frames([message(7, 'm7')], 4), 4, [7]))
    filter.released(7)
    expect(filter.completed(1)).toBe(1)
    filter.confirmed(1)
    expect(filter.tailBlocks).toBe(0)
  })

  it('takes a message for new when its broker uses packet ids again at once and does not say that it repeats', () => {
    const on = (id: number) => message(id, 'on')
    const filter = new RedeliveryFilter()
    for (const id of [1, 1, 2, 1]) store(filter, [on(id)])
    filter.connected(true)
    expect(receive(filter, [on(1), on(2)])).toEqual(['on', 'on'])
    filter.connected(true)
    expect(receive(filter, [on(2), on(1)], 4, true)).toEqual([])
    expect(receive(filter, [on(1)])).toEqual(['on'])
  })

  it('lets everything through on a new session, whose packet ids mean nothing', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent)
    filter.connected(false)
    expect(receive(filter, sent)).toEqual(sent.map(({ text }) => text))
  })

  it('lets everything through when the acknowledgements are known to have arrived', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent.slice(0, 3))
    store(filter, sent.slice(3))
    filter.confirmed(1)
    expect(filter.tailBlocks).toBe(0)
    filter.connected(true)
    expect(receive(filter, sent)).toHaveLength(5)
  })

  it('compares content: another message under a packet id of the tail is new', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent)
    filter.connected(true)
    expect(receive(filter, [message(3, 'other'), message(4, 'm4')])).toEqual(['other', 'm4'])
  })

  it('compares the topic as well', () => {
    const filter = new RedeliveryFilter()
    store(filter, [message(1, 'on', 1, 'lamp/1')])
    filter.connected(true)
    expect(receive(filter, [message(1, 'on', 1, 'lamp/2')])).toEqual(['on'])
  })

  it('does not mind that the broker counts the message expiry down', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent, 5)
    filter.connected(true)
    expect(receive(filter, sent, 5, true)).toEqual([])
  })

  it('lets equal content through when the broker begins with something new', () => {
    const filter = new RedeliveryFilter()
    store(filter, [message(1, 'on'), message(2, 'on')])
    filter.connected(true)
    expect(receive(filter, [message(3, 'on'), message(1, 'on')])).toEqual(['on', 'on'])
  })

  it('finds its place by content when packet ids come twice in the tail', () => {
    const filter = new RedeliveryFilter()
    store(filter, [message(1, 'a'), message(2, 'b'), message(1, 'c'), message(2, 'd')])
    filter.connected(true)
    expect(receive(filter, [message(1, 'c'), message(2, 'd'), message(1, 'e')])).toEqual(['e'])
    filter.connected(true)
    expect(receive(filter, [message(2, 'b'), message(1, 'c'), message(2, 'd')])).toEqual([])
  })

  it('takes equal messages under one id for the last of them, since too little left out loses nothing', () => {
    const filter = new RedeliveryFilter()
    store(filter, [message(1, 'on'), message(2, 'on'), message(1, 'on'), message(2, 'on')])
    filter.connected(true)
    expect(receive(filter, [message(1, 'on'), message(2, 'on'), message(1, 'on')])).toEqual(['on'])
  })

  it('takes what lies before the first one repeated for acknowledged, by the blocks it lies in', () => {
    const blocks = [sent.slice(0, 2), sent.slice(2, 4), sent.slice(4)]
    const afterRepeated = (from: number, add = store): number => {
      const filter = new RedeliveryFilter()
      for (const block of blocks) add(filter, block)
      filter.connected(true)
      receive(filter, sent.slice(from))
      return filter.tailBlocks
    }
    expect([0, 1, 2, 3, 4].map((from) => afterRepeated(from))).toEqual([3, 3, 2, 2, 1])
    const filter = new RedeliveryFilter()
    for (const block of blocks) store(filter, block)
    filter.connected(true, true)
    receive(filter, sent.slice(4), 4, true)
    expect(filter.tailBlocks, 'of another broker').toBe(3)
  })

  it('keeps what lies behind a message of QoS 2, which may be begun anew after others', () => {
    const filter = new RedeliveryFilter()
    const exactlyOnce = frames(sent.slice(1, 2), 4)
    exactlyOnce[0] = 0x34
    store(filter, sent.slice(0, 1))
    filter.stored(inTail(exactlyOnce, 4, [2]))
    store(filter, sent.slice(2, 4))
    store(filter, sent.slice(4))
    filter.connected(true)
    expect(receive(filter, sent.slice(4))).toEqual([])
    expect(filter.tailBlocks).toBe(3)
  })

  it('gives up looking for more when much else comes between', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent)
    filter.connected(true)
    const others = Array.from({ length: 1500 }, (_, i) => message(100 + i, `n${i}`))
    expect(receive(filter, [sent[0]!, ...others, sent[1]!])).toHaveLength(1501)
    expect(filter.isActive).toBe(false)
  })

  it('works again at the next cut, from the same tail', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent)
    for (let connection = 0; connection < 3; connection++) {
      filter.connected(true)
      expect(receive(filter, sent.slice(0, 2))).toEqual([])
    }
    filter.connected(true)
    expect(receive(filter, sent)).toEqual([])
  })

  it('counts what the broker calls a repetition and nobody has stored', () => {
    const filter = new RedeliveryFilter()
    store(filter, sent.slice(0, 2))
    filter.connected(true)
    expect(receive(filter, sent, 4, true)).toEqual(['m3', 'm4', 'm5'])
    expect(receive(filter, [message(9, 'x')], 4, true)).toEqual(['x'])
    expect(filter.metrics).toEqual({ recognised: 2, unmatched: 0, behind: 0 })
  })

  it('counts what comes under packet ids from before the last ones: the broker went back', () => {
    const filter = new RedeliveryFilter()
    filter.connected(false)
    store(filter, sent)
    filter.confirmed(0)
    filter.connected(true)
    store(filter, sent.slice(2))
    expect(filter.metrics).toEqual({ recognised: 0, unmatched: 0, behind: 3 })
    store(filter, [message(6, 'm6')])
    store(filter, [message(2, 'm2')])
    expect(filter.metrics.behind).toBe(3)
  })

  it('does not take ids that begin anew after the highest for a broker that went back', () => {
    const filter = new RedeliveryFilter()
    filter.connected(false)
    store(filter, [message(65_535, 'last')])
    filter.confirmed(0)
    filter.connected(true)
    store(filter, [message(1, 'first')])
    expect(filter.metrics.behind).toBe(0)
  })

  it('gives every message once, whatever is cut, lost and repeated', () => {
    const contents = fc.constantFrom('on', 'off', 'x'.repeat(200), 'y')
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant('publish' as const),
          messages: fc.array(fc.tuple(contents, fc.boolean()), { minLength: 1, maxLength: 6 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 8 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constant('acknowledge' as const),
          blocks: fc.integer({ min: 1, max: 3 }),
          arrives: fc.boolean(),
        }),
      },
      { weight: 1, arbitrary: fc.constant({ type: 'barrier' as const }) },
      {
        weight: 2,
        arbitrary: fc.record({ type: fc.constant('cut' as const), restart: fc.boolean(), dup: fc.boolean() }),
      },
    )
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom(4 as const, 5 as const),
        fc.integer({ min: 3, max: 40 }),
        (steps, version, window) => {
          const broker = new ModelBroker(window)
          let filter = new RedeliveryFilter()
          const got: string[] = []
          /** What a log has: the blocks stored, and how many of the newest may be repeated. */
          let log: Buffer[] = []
          /** Acknowledgements to send on this connection, a number for each block; how many were sent. */
          let acks: number[] = []
          let sent = 0
          /** The filter's numbers of these blocks. */
          let numbers: number[] = []
          let dup = false
          const deliver = (count: number): void => {
            const messages = broker.deliver(count)
            if (messages.length === 0) return
            const bytes = Buffer.concat(messages.map(({ message: one, again }) => frame(one, version, again && dup)))
            const { end } = filter.compact(bytes, 0, bytes.length, version)
            const kept = Buffer.from(bytes.subarray(0, end))
            got.push(...texts(kept, version))
            numbers.push(filter.stored(inTail(kept, version)))
            if (kept.length > 0) log.push(kept)
            acks.push(messages.filter(({ message: one }) => one.qos === 1).length)
            log = log.slice(log.length - filter.tailBlocks)
          }
          const connect = (): void => {
            broker.reconnect()
            acks = []
            sent = 0
            numbers = []
            filter.connected(true)
          }
          for (const step of steps) {
            if (step.type === 'publish') {
              for (const [text, isQos0] of step.messages) broker.publish(text, isQos0 ? 0 : 1)
            } else if (step.type === 'deliver') {
              deliver(step.count)
            } else if (step.type === 'acknowledge') {
              // One that does not arrive is followed by none that does.
              for (let i = 0; i < step.blocks && sent < acks.length; i++) {
                if (step.arrives && !broker.isLosing) broker.acknowledge(acks[sent]!)
                else broker.isLosing = true
                sent++
              }
            } else if (step.type === 'barrier') {
              if (broker.isLosing) continue
              if (sent > 0) filter.confirmed(numbers[sent - 1]!)
              log = log.slice(log.length - filter.tailBlocks)
            } else {
              if (step.restart) {
                filter = new RedeliveryFilter()
                for (const bytes of log) filter.recovered(bytes, 0, version)
              }
              dup = step.dup
              connect()
            }
          }
          connect()
          for (let pending = broker.pending; pending > 0; pending = broker.pending) {
            deliver(pending)
            for (; sent < acks.length; sent++) broker.acknowledge(acks[sent]!)
          }
          expect(got.filter((text) => text.includes('#1')).sort()).toEqual([...broker.published].sort())
        },
      ),
      { numRuns: runs },
    )
  })
})

/** A broker with one persistent session: resends what is not acknowledged, in order and under the same packet ids, then goes on. */
class ModelBroker {
  readonly #window: number
  #queue: Message[] = []
  #inFlight: Message[] = []
  #toSend: { message: Message; again: boolean }[] = []
  #nextId = 1
  /** QoS 1 messages published: each has to come out once. */
  readonly published: string[] = []
  /** True once an acknowledgement was lost on this connection: no later one can arrive. */
  isLosing = false

  constructor(window: number) {
    this.#window = window
  }

  publish(content: string, qos: 0 | 1): void {
    // Content repeats; what is appended only tells the test how many of each there are.
    const text = `${content}#${qos}`
    if (qos === 1) this.published.push(text)
    this.#queue.push(message(0, text, qos))
  }

  get pending(): number {
    return this.#toSend.length + this.#queue.length
  }

  deliver(count: number): { message: Message; again: boolean }[] {
    const out = this.#toSend.splice(0, count)
    while (out.length < count && this.#queue.length > 0) {
      const next = this.#queue[0]!
      if (next.qos === 1 && this.#inFlight.length >= this.#window) break
      this.#queue.shift()
      if (next.qos === 0) {
        out.push({ message: next, again: false })
        continue
      }
      const sent = message(this.#freeId(), next.text)
      this.#inFlight.push(sent)
      out.push({ message: sent, again: false })
    }
    return out
  }

  acknowledge(count: number): void {
    this.#inFlight.splice(0, count)
  }

  reconnect(): void {
    this.isLosing = false
    this.#toSend = this.#inFlight.map((one) => ({ message: one, again: true }))
  }

  /** Ids go round in a small circle, so that they are used again soon. */
  #freeId(): number {
    for (;;) {
      const id = this.#nextId
      this.#nextId = (this.#nextId % (this.#window * 2)) + 1
      if (this.#inFlight.every((one) => one.id !== id)) return id
    }
  }
}
