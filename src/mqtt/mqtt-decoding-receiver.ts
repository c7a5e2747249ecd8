/** What receivers of one format have in common: a message that cannot be decoded goes to a dead-letter handler, and the stream goes on. */
import { toError } from '../errors.js'
import { Log } from '../log.js'
import type { BlockReader, MqttMessage } from './message-block.js'
import type { MqttReceiverOptions } from './mqtt-options.js'
import { MqttReceiver } from './mqtt-receiver.js'

/** A message that could not be decoded. */
export interface DeadLetter extends MqttMessage {
  readonly error: Error
}

/** What to do with a message that cannot be decoded. */
export interface DecodingOptions extends MqttReceiverOptions {
  /**
   * 'log': leave it out, count it, and write its topic to the log, at most once a second. 'fail': fail the task with `MQTT_DECODE_FAILED`. A function:
   * as 'log', and call this with it, in the task; its throw fails the task. `deadLetterTopic` makes one that publishes. A task that runs again meets
   * the message again.
   * @default 'log'
   */
  readonly onMalformed?: 'log' | 'fail' | ((letter: DeadLetter) => void)
}

const LOG_EVERY_MS = 1000

/** A receiver that makes one record of each message by `decode`. Extend it for a format of your own. */
export abstract class MqttDecodingReceiver<T> extends MqttReceiver<T> {
  readonly #onMalformed: NonNullable<DecodingOptions['onMalformed']>
  #malformed = 0
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(
    brokerUrl: string | readonly string[],
    topics: string | readonly string[],
    options: DecodingOptions = {},
  ) {
    const { onMalformed, ...rest } = options
    super(brokerUrl, topics, rest)
    this.#onMalformed = onMalformed ?? 'log'
  }

  /** The record in a message; a throw makes the message a dead letter. */
  protected abstract decode(payload: Buffer, message: MqttMessage): T

  /** Messages that could not be decoded, in this thread, since it started. */
  get malformedMessages(): number {
    return this.#malformed
  }

  override processMqttMessages(payload: Buffer, message: MqttMessage): Iterable<T> {
    try {
      return [this.decode(payload, message)]
    } catch (error) {
      this.deadLetter(message, error)
      return []
    }
  }

  /** @internal */
  protected deadLetter(message: MqttMessage, thrown: unknown): void {
    if (this.#onMalformed === 'fail') throw thrown
    this.#malformed += 1
    const error = toError(thrown)
    this.#log(message, error)
    if (this.#onMalformed === 'log') return
    const { topic, qos, retain, dup, properties } = message
    this.#onMalformed({ topic, payload: new Uint8Array(message.payload), qos, retain, dup, properties, error })
  }

  #log({ topic, payload }: MqttMessage, error: Error): void {
    const now = performance.now()
    if (now - this.#loggedAt < LOG_EVERY_MS) return
    this.#loggedAt = now
    Log.fromEnvironment().warn('A message cannot be decoded and is left out', {
      receiver: this.constructor.name,
      topic,
      bytes: payload.length,
      malformed: this.#malformed,
      error,
    })
  }
}

/** A stream of the JSON values in the payloads, one a message. */
export class MqttJsonReceiver<T = unknown> extends MqttDecodingReceiver<T> {
  protected override decode(payload: Buffer): T {
    return JSON.parse(payload.toString()) as T
  }

  /** @internal */
  protected override readMessage(message: BlockReader, output: T[]): void {
    // A subclass that changes what a message means must be asked.
    const { decode, processMqttMessages } = MqttJsonReceiver.prototype
    if (this.decode !== decode || this.processMqttMessages !== processMqttMessages) {
      super.readMessage(message, output)
      return
    }
    try {
      output.push(JSON.parse(message.text) as T)
    } catch (error) {
      this.deadLetter(message, error)
    }
  }
}
