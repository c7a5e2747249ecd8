/** The Node driver's end of the link to the driver JVM: calls and their answers, batches, events, and the JVM's life and death. */
import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { type ErrorData, errorFromData, MillraceError } from '../../errors.js'
import { controlFrame, decodeValues, FrameReader } from './frames.js'
import { Frame, type Operation, PROTOCOL_VERSION, type SparkEvent, type Value } from './protocol.js'

/** A chunk of a partition that a `collect` computed. */
export interface PartitionChunk {
  readonly partition: number
  readonly bytes: Buffer
}

/** What came of a call: the value of its last operation, and the chunks a `collect` among them gave. */
export interface CallResult {
  readonly value: Value
  readonly chunks: readonly PartitionChunk[]
}

/** A batch as the JVM announces it: for each receiver's stream its number of blocks, and of records where Spark tells. */
export interface BatchAnnouncement {
  readonly time: number
  readonly inputs: readonly { readonly partitions: number; readonly records: number | null }[]
}

interface Pending {
  readonly chunks: PartitionChunk[]
  readonly resolve: (result: CallResult) => void
  readonly reject: (error: Error) => void
}

interface ConnectionEvents {
  batch: [BatchAnnouncement]
  spark: [SparkEvent]
  /** The link is closed: nothing more will be answered. The error says why, and is null after `close`. */
  closed: [Error | null]
}

/**
 * Speaks frames with a driver JVM over two streams. It never gives up silently: when the JVM ends, every waiting call rejects with
 * `SPARK_FAILED` and the last words of the JVM's log.
 */
export class BridgeConnection extends EventEmitter<ConnectionEvents> {
  readonly #output: Writable
  readonly #describeEnd: () => Promise<string>
  readonly #pending = new Map<number, Pending>()
  #lastCall = 0
  #greeted: ((javaVersion: string) => void) | null = null
  #closing = false
  #failure: Error | null = null
  /** Resolves to Java's version when the JVM is ready. */
  readonly ready: Promise<string>
  #settings: readonly (readonly [string, string])[] = []

  /** `describeEnd` says why the other end is gone, for the error text: the exit code and the last lines of a log. */
  constructor(input: Readable, output: Writable, describeEnd: () => Promise<string>) {
    super()
    this.#output = output
    this.#describeEnd = describeEnd
    const reader = new FrameReader((type, body) => this.#receive(type, body))
    this.ready = new Promise((resolve, reject) => {
      this.#greeted = resolve
      this.once('closed', (error) => reject(error ?? new MillraceError('SPARK_FAILED', 'The bridge was closed.')))
    })
    // Whoever calls before the greeting gets the error from the call itself.
    this.ready.catch(() => {})
    input.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes)
      } catch (error) {
        this.#end(error as Error)
      }
    })
    input.once('end', () => void this.#ended())
    input.once('error', (error) => this.#end(error))
    output.once('error', () => void this.#ended())
  }

  /** The settings of a JVM that spark-submit started; known once it is ready. */
  get settings(): readonly (readonly [string, string])[] {
    return this.#settings
  }

  /** Runs operations in order in the JVM, on the thread of batch `time` when one is given. Rejects with what the first failing one threw. */
  call(operations: readonly Operation[], time: number | null = null): Promise<CallResult> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const id = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { chunks: [], resolve, reject })
      this.#output.write(controlFrame(Frame.CALL, [id, time, operations as unknown as Value]))
    })
  }

  /** Ends batch `time`: well, or with the error that made it fail. */
  finishBatch(time: number, failure: { readonly text: string; readonly data: ErrorData } | null): void {
    if (this.#failure !== null) return
    const fields = failure === null ? [time, null, null] : [time, failure.text, JSON.stringify(failure.data)]
    this.#output.write(controlFrame(Frame.BATCH_DONE, fields))
  }

  /** Tells the JVM that this driver goes: it stops Spark and ends. Resolves when the link is closed. */
  async close(): Promise<void> {
    this.#closing = true
    if (this.#failure !== null) return
    const closed = new Promise<void>((resolve) => this.once('closed', () => resolve()))
    this.#output.end()
    await closed
  }

  #receive(type: number, body: Buffer): void {
    if (type === Frame.DATA) {
      // Copied: a small chunk may be a view of a large read, which it would keep alive.
      const bytes = Buffer.from(body.subarray(8))
      this.#pending.get(body.readInt32BE(0))?.chunks.push({ partition: body.readInt32BE(4), bytes })
      return
    }
    const fields = decodeValues(body)
    switch (type) {
      case Frame.HELLO:
        this.#greet(fields)
        return
      case Frame.RESULT: {
        const pending = this.#take(fields[0] as number)
        pending?.resolve({ value: fields[1]!, chunks: pending.chunks })
        return
      }
      case Frame.FAILURE:
        this.#take(fields[0] as number)?.reject(failureOf(fields))
        return
      case Frame.BATCH: {
        const inputs = fields[1] as (readonly [number, number | null])[]
        this.emit('batch', {
          time: fields[0] as number,
          inputs: inputs.map(([partitions, records]) => ({ partitions, records })),
        })
        return
      }
      case Frame.EVENT:
        this.emit('spark', fields as unknown as SparkEvent)
        return
      default:
        this.#end(new MillraceError('BRIDGE_PROTOCOL_ERROR', `A driver JVM does not send frames of type ${type}.`))
    }
  }

  #greet(fields: readonly Value[]): void {
    if (fields[0] === PROTOCOL_VERSION) {
      this.#settings = (fields[2] ?? []) as unknown as readonly (readonly [string, string])[]
      this.#greeted?.(fields[1] as string)
      return
    }
    this.#end(
      new MillraceError(
        'BRIDGE_PROTOCOL_ERROR',
        `The bridge jar speaks protocol ${fields[0]}, this Node ${PROTOCOL_VERSION}. Both come with the millrace package: use the jar that came with this one.`,
      ),
    )
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  async #ended(): Promise<void> {
    if (this.#failure !== null) return
    const why = this.#closing ? 'The bridge is closed.' : await this.#describeEnd()
    this.#end(new MillraceError('SPARK_FAILED', why))
  }

  #end(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
    this.#output.end()
    this.emit('closed', this.#closing ? null : error)
  }
}

/** Follows a child's end: its exit code and the last lines of what it printed. */
export function describeChild(name: string, child: ChildProcess, lastLines: () => string): () => Promise<string> {
  const exit = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? `with exit code ${code}` : `by signal ${signal}`))
    child.once('error', (error) => resolve(`before it began: ${error.message}`))
  })
  return async () => {
    const how = await exit
    const lines = lastLines()
    return `${name} (pid ${child.pid ?? 'none'}) ended ${how}.${lines === '' ? '' : ` Its last words:\n${lines}`}`
  }
}

/** The error of a failed call: the user's own when one was thrown in Node, otherwise Spark's. */
function failureOf(fields: readonly Value[]): Error {
  const [, javaClass, message, json, stack] = fields as [number, string, string | null, string | null, string]
  const spark = new MillraceError('SPARK_FAILED', `Spark: ${message ?? javaClass}`, { details: { javaClass, stack } })
  if (json === null) return spark
  return errorFromData(JSON.parse(json) as ErrorData)
}
