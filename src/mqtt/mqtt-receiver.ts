/** MqttReceiver: messages of an MQTT broker as a stream. Blocks hold messages as they came; they are decoded in the task that reads them. */
import { randomBytes } from 'node:crypto'
import { kindOf } from '../arguments.js'
import { MillraceError, toError } from '../errors.js'
import { Log } from '../log.js'
import { StorageLevel } from '../rdd/storage-level.js'
import { Receiver } from '../receiver/receiver.js'
import { type FaultOwner, ownsFaults } from '../receiver/receiver-faults.js'
import { BLOCK_HEADER_LENGTH, BlockReader, type MqttMessage, readBlockHeader } from './message-block.js'
import { MessageIds } from './message-ids.js'
import { type IngestSink, MqttIngest } from './mqtt-ingest.js'
import type { MqttReceiverOptions } from './mqtt-options.js'
import type { MqttReceiverStatus } from './mqtt-receiver-status.js'
import { RedeliveryFilter } from './redelivery-filter.js'
import { type ResolvedReceiver, resolveReceiver } from './resolved-options.js'
import { TopicCache } from './topic-cache.js'

const CHUNK_RECORDS = 512

/**
 * Receives the messages of one or several topic filters and turns each into records of `T`. Extend it with `processMqttMessages`:
 *
 * ```ts
 * import { MqttReceiver } from 'millrace'
 * class Temperatures extends MqttReceiver<number> {
 *   override processMqttMessages(payload: Buffer) {
 *     return [JSON.parse(payload.toString()).celsius as number]
 *   }
 * }
 * const receiver = new Temperatures('mqtt://localhost:1883', ['plant/+/temp', 'lab/#'])
 * ```
 *
 * `brokerUrl` is a URL or several to fall over to, with scheme mqtt, tcp, mqtts, ssl, ws or wss; a topic filter may be shared between receivers
 * (`$share/group/filter`). At QoS 1 and 2 a message is acknowledged to the broker when the block that holds it is stored. The constructor throws
 * `MQTT_INVALID_URL`, `MQTT_INVALID_TOPIC_FILTER`, `MQTT_INVALID_OPTION` or `MQTT_CLIENT_ID_REQUIRED`. While it runs, an outage is reported and
 * the connection tried again for ever; another client with the same client id stops the receiver with `MQTT_SESSION_TAKEN_OVER`.
 */
export abstract class MqttReceiver<T> extends Receiver<T> {
  readonly #options: ResolvedReceiver
  readonly #clientId: string
  readonly #topicCache = new TopicCache()
  #ingest: MqttIngest | null = null
  /** How it is doing in another thread. */
  #statusElsewhere: MqttReceiverStatus | null = null
  /** How it was when it ended. */
  #lastStatus: MqttReceiverStatus | null = null
  /** Knows what the broker may send again; made at the first start, from what the log holds. */
  #filter: RedeliveryFilter | null = null
  /** The ids of messages, as their user gives them; null when the user does not. */
  #ids: MessageIds | null = null
  /** Records of the block being read, while `processMqttMessages` runs. */
  #output: T[] | null = null
  /** What `processMqttMessages` leaves behind belongs to no task any more; where the receiver runs, its supervisor hears of it. */
  readonly #decodingFaults: FaultOwner = {
    reportError: (message, error) => {
      if (this.streamId >= 0) this.reportError(message, error)
      else Log.fromEnvironment().warn(message, { receiver: this.constructor.name, error: toError(error) })
    },
    restart: (message, error) => this.#decodingFaults.reportError(message, error),
  }

  constructor(
    brokerUrl: string | readonly string[],
    topics: string | readonly string[],
    options: MqttReceiverOptions = {},
  ) {
    super(options?.storageLevel ?? StorageLevel.MEMORY_AND_DISK_2)
    this.#options = resolveReceiver(brokerUrl, topics, options)
    this.#clientId = this.#options.clientId ?? `millrace-${randomBytes(6).toString('hex')}`
  }

  /**
   * Turns one message into records: returns them (an array or any iterable), or calls `this.store` for each. It runs in the task that reads the
   * block, not on the connection, and again if that task runs again. `payload` and `message` are views of the block: copy what is kept. A throw
   * fails the task with `MQTT_DECODE_FAILED`, which names the topic.
   */
  abstract processMqttMessages(payload: Buffer, message: MqttMessage): Iterable<T> | void

  async onStart(): Promise<void> {
    if (this.#filter === null) {
      const filter = new RedeliveryFilter()
      for (const bytes of await this.unconfirmed()) {
        const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        filter.recovered(block, BLOCK_HEADER_LENGTH, readBlockHeader(block).version)
      }
      this.#ids = await this.#knownIds()
      this.#filter = filter
    }
    const sink: IngestSink = {
      storeBytes: (block) => this.storeBytes(block),
      reportError: (message, error) => this.reportError(message, error),
      restart: (message, error) => this.restart(message, error),
      stop: (message, error) => this.stop(message, error),
      confirmed: (tail) => this.confirmed(tail),
      ratePerSecond: () => this.ratePerSecond,
    }
    const ingest = new MqttIngest(this.#options, this.#clientId, sink, { filter: this.#filter, ids: this.#ids })
    this.#ingest = ingest
    ingest.start()
  }

  async onStop(): Promise<void> {
    const ingest = this.#ingest
    this.#ingest = null
    if (ingest === null) return
    await ingest.stop()
    this.#lastStatus = ingest.status
  }

  /**
   * How the receiver is doing, on `local` at this moment, on `local[N]` within the last second, and after its end as it ended. Null before the
   * start, and where it does not run: in a worker that only decodes, and in the driver of a job on Spark.
   */
  get status(): MqttReceiverStatus | null {
    return this.#ingest?.status ?? this.#lastStatus ?? this.#statusElsewhere
  }

  /** @internal */
  override statusHere(): MqttReceiverStatus | null {
    return this.status
  }

  /** @internal */
  override takeStatus(status: unknown): void {
    this.#statusElsewhere = status as MqttReceiverStatus | null
  }

  /** The client id in use: the option's, or a random one. */
  get clientId(): string {
    return this.#clientId
  }

  /** The ids of what earlier runs stored. */
  async #knownIds(): Promise<MessageIds | null> {
    const { messageId, messageIdMemory } = this.#options
    if (messageId === null) return null
    let hasFailed = false
    const ids = new MessageIds(messageId, messageIdMemory, (error) => {
      if (!hasFailed) this.reportError('The function messageId threw; such messages have no id', error)
      hasFailed = true
    })
    for (const block of await this.remembered(messageIdMemory)) ids.recovered(block)
    return ids
  }

  override store(record: T): boolean {
    if (this.#output === null) return super.store(record)
    this.#output.push(record)
    return true
  }

  /** False while `processMqttMessages` runs: the block it reads is complete, whatever became of the receiver. */
  override isStopped(): boolean {
    return this.#output === null && super.isStopped()
  }

  override isStarted(): boolean {
    return this.#output !== null || super.isStarted()
  }

  /** @internal */
  override *readBlock(bytes: Uint8Array): Iterable<readonly T[]> {
    const reader = new BlockReader(bytes, this.#topicCache)
    for (;;) {
      const records: T[] = []
      const isMore = this.#fill(reader, records)
      if (records.length > 0) yield records
      if (!isMore) return
    }
  }

  /** Appends the records of one message. Overridden where the payload need not be a Buffer first. @internal */
  protected readMessage(message: BlockReader, output: T[]): void {
    // Who is given a view keeps it, whatever the documentation says, and a block's memory is read into again.
    message.copyOnce()
    const records = this.processMqttMessages(message.payload, message)
    if (records === undefined || records === null) return
    if (Array.isArray(records)) for (let i = 0; i < records.length; i++) output.push(records[i] as T)
    else if (typeof records === 'string') output.push(records)
    else if (typeof records[Symbol.iterator] === 'function') for (const record of records) output.push(record)
    else throw notRecords(records)
  }

  /** Reads messages until a chunk is full; false at the end of the block. */
  #fill(reader: BlockReader, records: T[]): boolean {
    return ownsFaults(this.#decodingFaults, () => this.#decode(reader, records))
  }

  #decode(reader: BlockReader, records: T[]): boolean {
    this.#output = records
    try {
      while (records.length < CHUNK_RECORDS) {
        if (!reader.next()) return false
        this.readMessage(reader, records)
      }
      return true
    } catch (error) {
      throw decodeError(this, reader, error)
    } finally {
      this.#output = null
    }
  }
}

/** The error of a `processMqttMessages` that gave neither records nor nothing. */
function notRecords(returned: unknown): MillraceError {
  const isPromise = typeof (returned as PromiseLike<unknown>).then === 'function'
  // That it is refused here is all there is to say of it, also when it is rejected later.
  if (isPromise) void Promise.resolve(returned).catch(() => {})
  return new MillraceError(
    'ILLEGAL_ARGUMENT',
    `processMqttMessages returned ${isPromise ? 'a promise' : kindOf(returned)}; expected an array or another iterable of records, or nothing.${
      isPromise ? ' It runs for each message and must not wait: do what waits in foreachPartition.' : ''
    }`,
  )
}

function decodeError(receiver: object, message: BlockReader, cause: unknown): unknown {
  if (MillraceError.is(cause, 'INTERNAL')) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new MillraceError(
    'MQTT_DECODE_FAILED',
    `${receiver.constructor.name} could not decode message ${message.index} of its block, topic ${JSON.stringify(message.topic)}, ${message.payloadLength} bytes: ${why}`,
    { cause, details: { topic: message.topic, index: message.index } },
  )
}
