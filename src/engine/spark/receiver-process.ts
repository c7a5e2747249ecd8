/** The Node process of a receiver beside a Spark executor: runs the receiver, sends its blocks, and hears when they are stored. */
import { errorToData, MillraceError } from '../../errors.js'
import type { ReceivedBytes, Receiver } from '../../receiver/receiver.js'
import { type BlockStore, ReceiverSupervisor } from '../../receiver/receiver-supervisor.js'
import { systemClock } from '../../time.js'
import { decodeValues } from './frames.js'
import type { JavaLink } from './java-link.js'
import { Frame } from './protocol.js'
import { bytesBlock, partsOf, recordsBlock } from './received-block.js'

/** Blocks of bytes are put together for this long, or up to this size: each block of Spark's costs a few calls to the driver. */
const GATHER_MS = 10
const GATHER_BYTES = 1 << 20

export interface ReceiverSettings {
  readonly blockIntervalMs: number
  readonly blockQueueSize: number
  readonly restartDelayMs: number
  /** The most records a second (`spark.streaming.receiver.maxRate`), or null. */
  readonly ratePerSecond: number | null
}

/** Serves one receiver until Java says stop. `receivers` are those of the job's graph, in order. */
export function serveReceiver(
  link: JavaLink,
  receivers: ReadonlyMap<number, Receiver<unknown>>,
  settings: ReceiverSettings,
): void {
  const store = new JavaStore(link)
  let supervisor: ReceiverSupervisor | null = null

  const start = (index: number, tail: readonly Buffer[]): void => {
    store.recover(tail)
    const [streamId, receiver] = [...receivers][index]!
    supervisor = new ReceiverSupervisor(receiver, {
      ...settings,
      streamId,
      clock: systemClock,
      store,
      events: {
        started: () => link.send(Frame.RECEIVER_STARTED, []),
        error: (message, error) => report(link, message, error),
        stopped: (message, error) => void finish(message, error),
      },
    })
    void supervisor.start()
  }
  const finish = async (message: string, error: Error | null): Promise<void> => {
    await store.settled()
    link.send(Frame.RECEIVER_STOP, [message, error === null ? null : textOf(error)])
    await link.flushed()
    process.exit(0)
  }

  link.listen((type, body) => {
    switch (type) {
      case Frame.RECEIVER_START: {
        const [index, , tail] = decodeValues(body) as [number, number, Buffer[]]
        start(index, tail)
        return
      }
      case Frame.STORED:
        store.stored(decodeValues(body)[0] as number, null)
        return
      case Frame.NOT_STORED: {
        const [number, why] = decodeValues(body) as [number, string]
        store.stored(number, new MillraceError('BLOCK_NOT_STORED', `Spark did not store the block: ${why}`))
        return
      }
      case Frame.RATE:
        supervisor?.setRate(decodeValues(body)[0] as number | null)
        return
      case Frame.RECEIVER_STOP:
        void supervisor?.shutdown()
    }
  })
}

function report(link: JavaLink, message: string, error: Error): void {
  link.send(Frame.REPORT, [message, textOf(error), JSON.stringify(errorToData(error))])
}

function textOf(error: Error): string {
  return error.stack ?? `${error.name}: ${error.message}`
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Sends blocks to Java in the order they came; each promise resolves when Spark has stored its block. */
class JavaStore implements BlockStore {
  readonly #link: JavaLink
  readonly #waiting = new Map<number, readonly Waiting[]>()
  #last = 0
  #gathered: { parts: ReceivedBytes[]; records: number; bytes: number; waiting: Waiting[] } | null = null
  #timer: NodeJS.Timeout | null = null
  #settled: (() => void)[] = []
  /** The parts of the blocks before this process that the source may send again. */
  #recovered: readonly Buffer[] = []
  /** How many parts there were, and which of them is the last of each block that the source may send again. */
  #parts = 0
  #tail: number[] = []

  constructor(link: JavaLink) {
    this.#link = link
  }

  /** Takes the blocks before this process that the source may send again, oldest first. */
  recover(blocks: readonly Buffer[]): void {
    const parts = blocks.map((block) => [...partsOf(block)])
    this.#recovered = parts.flat()
    for (const { length } of parts) {
      this.#parts += length
      this.#tail.push(this.#parts)
    }
  }

  confirmed(tail: number): void {
    const through = this.#parts - tail
    while (this.#tail.length > 0 && this.#tail[0]! <= through) this.#tail.shift()
  }

  unconfirmed(): Promise<readonly Uint8Array[]> {
    return Promise.resolve(this.#recovered)
  }

  storeRecords(records: readonly unknown[]): Promise<void> {
    this.#flush()
    return new Promise((resolve, reject) => {
      this.#send(recordsBlock(records), records.length, [{ resolve, reject }])
    })
  }

  storeBytes(part: ReceivedBytes): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#gathered ??= { parts: [], records: 0, bytes: 0, waiting: [] }
      const gathered = this.#gathered
      this.#parts++
      gathered.parts.push(part)
      gathered.records += part.records
      gathered.bytes += part.bytes.byteLength
      gathered.waiting.push({ resolve, reject })
      if (gathered.bytes >= GATHER_BYTES) this.#flush()
      else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS)
    })
  }

  /** Java has stored block `number`, or says why it has not. */
  stored(number: number, error: Error | null): void {
    const waiting = this.#waiting.get(number) ?? []
    this.#waiting.delete(number)
    for (const { resolve, reject } of waiting) {
      if (error === null) resolve()
      else reject(error)
    }
    if (this.#waiting.size === 0) for (const settled of this.#settled.splice(0)) settled()
  }

  /** Resolves when no block waits for Java. */
  settled(): Promise<void> {
    this.#flush()
    return this.#waiting.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#settled.push(resolve))
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const gathered = this.#gathered
    this.#gathered = null
    if (gathered === null) return
    const parts = gathered.parts.map(({ bytes }) => bytes)
    this.#send(bytesBlock(parts, this.#tail.length), gathered.records, gathered.waiting)
    // What went to Java is a copy.
    for (const { release } of gathered.parts) release?.()
    this.#tail.push(this.#parts)
  }

  #send(block: Buffer, records: number, waiting: readonly Waiting[]): void {
    const number = ++this.#last
    this.#waiting.set(number, waiting)
    this.#link.sendBytes(Frame.BLOCK, block, number, records)
  }
}
