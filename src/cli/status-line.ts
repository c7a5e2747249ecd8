/** One line that tells how a running job is doing: kept at the foot of a terminal, or written once a second elsewhere. */

import { watchActive } from '../process-contexts.js'
import type { BatchInfo, StreamingListener } from '../scheduler/streaming-listener.js'
import type { StreamingContext } from '../streaming-context.js'
import { counted, thousands } from './command.js'

type Write = typeof process.stdout.write

/** Counts what the batches of the context that runs bring and shows it once a second. */
export class StatusLine implements StreamingListener {
  readonly #isTerminal: boolean
  readonly #decoded: (() => number) | null
  /** Since it was shown last: batches, the messages in them, the records read out of those. */
  #batches = 0
  #messages = 0
  #records = 0
  /** Of all time. */
  #allBatches = 0
  #allMessages = 0
  #allRecords = 0
  /** Per second of batch time, as shown last. */
  #messageRate = 0
  #recordRate = 0
  #last: BatchInfo | null = null
  #listensTo: StreamingContext | null = null
  #shown = ''
  #timer: NodeJS.Timeout | null = null
  #unhook: (() => void)[] = []

  /** `decoded` counts the records read out of messages so far, where that is known. */
  constructor(options: { readonly decoded?: () => number } = {}) {
    this.#decoded = options.decoded ?? null
    // Where standard output goes elsewhere, what reads it may write to the same screen, and no line stays at its foot.
    this.#isTerminal = StatusLine.isWanted
  }

  /** True where a status line is of use unasked: a person looks at standard output and standard error. */
  static get isWanted(): boolean {
    return process.stdout.isTTY === true && process.stderr.isTTY === true
  }

  start(): void {
    watchActive((ssc) => {
      this.#listensTo = ssc
      ssc.addStreamingListener(this)
    })
    if (this.#isTerminal) this.#unhook = [this.#writeAround(process.stdout), this.#writeAround(process.stderr)]
    this.#timer = setInterval(() => this.#show(), 1000)
  }

  /** Takes the line away; in its place stays what there was in all. */
  stop(): void {
    watchActive(null)
    if (this.#timer !== null) clearInterval(this.#timer)
    for (const unhook of this.#unhook) unhook()
    if (this.#shown !== '') process.stderr.write(erase)
    this.#shown = ''
    if (this.#listensTo === null) return
    const parts = [this.#batchCount, counted(this.#allMessages, 'message')]
    if (this.#knowsRecords(this.#listensTo)) parts.push(counted(this.#allRecords, 'record'))
    process.stderr.write(`Ended after ${parts.join(', ')}.\n`)
  }

  get #batchCount(): string {
    return counted(this.#allBatches, 'batch', 'batches')
  }

  /** Where threads decode, this one does not know. */
  #knowsRecords(ssc: StreamingContext): boolean {
    return this.#decoded !== null && ssc.conf.get('spark.master') === 'local'
  }

  onBatchCompleted(batch: BatchInfo): void {
    const decoded = this.#decoded?.() ?? 0
    this.#batches++
    this.#allBatches++
    this.#messages += batch.numRecords
    this.#allMessages += batch.numRecords
    this.#records += decoded - this.#allRecords
    this.#allRecords = decoded
    this.#last = batch
  }

  #show(): void {
    const active = this.#listensTo
    if (active?.getState() !== 'ACTIVE') return
    if (this.#batches > 0) {
      const seconds = (this.#batches * active.batchInterval) / 1000
      this.#messageRate = this.#messages / seconds
      this.#recordRate = this.#records / seconds
      this.#batches = this.#messages = this.#records = 0
    }
    const parts = [this.#batchCount, `${thousands(this.#messageRate)} messages/s`]
    if (this.#knowsRecords(active)) parts.push(`${thousands(this.#recordRate)} records/s`)
    const { processingDelay, schedulingDelay } = this.#last ?? {}
    if (processingDelay != null) parts.push(`processing ${processingDelay} ms`)
    if (schedulingDelay != null) parts.push(`scheduling ${schedulingDelay} ms`)
    const text = parts.join('  ')
    if (!this.#isTerminal) {
      process.stderr.write(`${text}\n`)
      return
    }
    // A terminal that does not know its size says 0.
    const width = process.stderr.columns || 80
    while (parts.length > 1 && parts.join('  ').length >= width) parts.pop()
    const line = parts.join('  ').slice(0, width - 1)
    this.#shown = ''
    process.stderr.write(erase + line)
    this.#shown = line
  }

  /** Whatever else is written there goes above the line: erase it, write, and put it back once a line is complete. */
  #writeAround(stream: NodeJS.WriteStream): () => void {
    const write = stream.write.bind(stream) as Write
    stream.write = ((...args: Parameters<Write>): boolean => {
      const shown = this.#shown
      if (shown === '') return write(...args)
      this.#shown = ''
      process.stderr.write(erase)
      const result = write(...args)
      if (String(args[0]).endsWith('\n')) {
        process.stderr.write(shown)
        this.#shown = shown
      }
      return result
    }) as Write
    return () => {
      stream.write = write
    }
  }
}

/** To the first column, and clear to the end of the line. */
const erase = '\r\x1b[K'
