/** The topics that the broker gave numbers on one connection (MQTT 5, 3.3.2.3.4). */
import { violation } from './broker-frames.js'
import { variableIntegerLength, withoutTopicAlias, writeVariableInteger } from './mqtt-properties.js'
import { Reason } from './reason-codes.js'

export class TopicAliases {
  readonly #maximum: number
  readonly #topics = new Map<number, Uint8Array>()

  /** `maximum` is the highest alias that was allowed to the broker; 0 for none. */
  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /** The topic in bytes[start,end) has that alias from now on. Throws `MQTT_PROTOCOL_ERROR` for one above the maximum. */
  set(alias: number, bytes: Uint8Array, start: number, end: number): void {
    this.#assertAllowed(alias)
    this.#topics.set(alias, Uint8Array.prototype.slice.call(bytes, start, end))
  }

  /**
   * The frame of a message without a topic, in bytes[pos,next), with the topic its alias stands for, and without the alias. Its topic ends
   * at `topicEnd`, its properties begin, with their length, at `properties`, and its payload at `body`. Throws `MQTT_PROTOCOL_ERROR` for an
   * alias that is 0, above the maximum or stands for no topic.
   */
  expanded(
    alias: number,
    bytes: Buffer,
    pos: number,
    topicEnd: number,
    properties: number,
    body: number,
    next: number,
  ): Uint8Array {
    this.#assertAllowed(alias)
    if (alias === 0) throw violation(Reason.PROTOCOL_ERROR, 'a message with neither topic nor topic alias')
    const topic = this.#topics.get(alias)
    if (topic === undefined)
      throw violation(Reason.PROTOCOL_ERROR, `topic alias ${alias}, which stands for no topic yet`)
    const id = bytes.subarray(topicEnd, properties)
    const sizeLength =
      bytes[properties]! < 0x80 ? 1 : bytes[properties + 1]! < 0x80 ? 2 : bytes[properties + 2]! < 0x80 ? 3 : 4
    const kept = withoutTopicAlias(bytes, properties + sizeLength, body)
    const length = 2 + topic.length + id.length + variableIntegerLength(kept.length) + kept.length + (next - body)
    const frame = new Uint8Array(1 + variableIntegerLength(length) + length)
    frame[0] = bytes[pos]!
    let at = writeVariableInteger(frame, 1, length)
    frame[at++] = topic.length >> 8
    frame[at++] = topic.length & 0xff
    for (const part of [topic, id]) {
      frame.set(part, at)
      at += part.length
    }
    at = writeVariableInteger(frame, at, kept.length)
    frame.set(kept, at)
    frame.set(bytes.subarray(body, next), at + kept.length)
    return frame
  }

  #assertAllowed(alias: number): void {
    if (alias <= this.#maximum) return
    throw violation(Reason.TOPIC_ALIAS_INVALID, `topic alias ${alias}; the highest allowed is ${this.#maximum}`)
  }
}
