/** Numbered messages on ten topics, from a publisher through a broker to a receiver: what came, how often, and in which order. */
import { expect } from 'vitest'
import type { MqttMessage } from '../../src/mqtt/message-block.js'
import { MqttMessageReceiver } from '../../src/mqtt/mqtt-message-receiver.js'
import type { MqttReceiverOptions } from '../../src/mqtt/mqtt-options.js'
import { mqttSink } from '../../src/mqtt/mqtt-sink.js'
import { CollectingSink } from './collecting-sink.js'
import type { CuttingProxy } from './cutting-proxy.js'

export const patienceMs = 240_000
let names = 0

/** A durable receiver of `n/#`. Storage takes a moment, so that acknowledgements are under way when a connection is cut. */
export class NumberedMessages {
  readonly receiver: MqttMessageReceiver
  readonly sink: CollectingSink<MqttMessage>
  readonly #qos: 0 | 1 | 2
  #publish: (numbers: Iterable<number>) => Promise<void> = async () => {}

  constructor(url: string, qos: 0 | 1 | 2, options: MqttReceiverOptions = {}) {
    this.#qos = qos
    const name = { clientId: `receiver-${names++}`, reconnectMaxDelay: '100ms' } as const
    this.receiver = new MqttMessageReceiver(url, 'n/#', { qos, ...name, ...options })
    this.sink = new CollectingSink(this.receiver)
    this.sink.storing = () => new Promise((resolve) => setTimeout(resolve, 2))
  }

  /** Starts the receiver; it is subscribed when a message of its own comes through. */
  async start(publisherUrl: string): Promise<void> {
    void this.receiver.onStart()
    const hello = mqttSink<string>(publisherUrl, { topic: 'n/hello', reconnectMaxDelay: '100ms' })
    while (this.sink.records.length === 0) {
      await hello(['-1'])
      await this.sink.until(() => this.sink.records.length > 0, 200).catch(() => {})
    }
  }

  /** Publishes the numbers below `count`; resolves when the broker has acknowledged all. */
  publish(url: string, count: number): Promise<void> {
    const qos = this.#qos
    const topic = (n: number): string => (n < 0 ? 'n/hello' : `n/${n % 10}`)
    this.#publish = mqttSink<number>(url, { topic, payload: String, qos, maxInFlight: 500, reconnectMaxDelay: '100ms' })
    return this.#publish(Array.from({ length: count }, (_, i) => i))
  }

  /**
   * Cuts the receiver's connection `times` while `count` messages come. Between two cuts some of them are new: brokers may send all that was in
   * flight before they read the first acknowledgement, so with cuts at fixed distances there might never be progress. Every other cut is followed by
   * one while the broker still repeats.
   */
  async cut(proxy: CuttingProxy, count: number, times: number): Promise<void> {
    const { sink, receiver } = this
    for (let i = 0; i < times; i++) {
      const from = ((i + Math.random()) * count) / (times + 1)
      await sink.until(() => sink.messages >= from, patienceMs)
      for (let again = i % 2; again >= 0; again--) {
        const { cuts } = proxy
        const connections = receiver.status?.connections ?? 0
        proxy.cutAfter(1 + Math.floor(Math.random() * 20_000))
        await sink.until(() => proxy.cuts > cuts && receiver.status!.connections > connections, patienceMs)
      }
    }
  }

  /** Resolves when each number below `count` came at least once. */
  async arrived(count: number): Promise<void> {
    const { sink } = this
    let looked = 0
    await sink.until(() => {
      if (sink.records.length < count || sink.records.length === looked) return false
      looked = sink.records.length
      return new Set(this.#numbers()).size === count
    }, patienceMs)
  }

  /** Resolves when a message that is published after all others, by the same connection, has come. */
  async flushed(): Promise<void> {
    const isLast = ({ payload }: MqttMessage): boolean => Buffer.from(payload).toString() === '-2'
    while (!this.sink.records.some(isLast)) {
      await this.#publish([-2])
      await this.sink.until(() => this.sink.records.some(isLast), 500).catch(() => {})
    }
  }

  /** Nothing is missing (at QoS 0 that is not asked for), each topic is in order, and what came twice did so only where the protocol allows it: at QoS 1. Gives how many came. */
  check(count: number): number {
    const seen = new Set<number>()
    const last = new Map<number, number>()
    let twice = 0
    for (const n of this.#numbers()) {
      if (seen.has(n)) {
        twice += 1
        continue
      }
      seen.add(n)
      // Out of order would be: a number that comes for the first time after a later one of its topic.
      const before = last.get(n % 10) ?? -1
      if (n < before) throw new Error(`n/${n % 10}: ${n} came after ${before}`)
      last.set(n % 10, n)
    }
    if (this.#qos > 0) expect(seen.size).toBe(count)
    if (this.#qos !== 1) expect(twice).toBe(0)
    return seen.size
  }

  #numbers(): number[] {
    const messages = this.sink.records.filter(({ topic }) => topic !== 'n/hello')
    return messages.map(({ payload }) => Number(Buffer.from(payload).toString()))
  }
}
