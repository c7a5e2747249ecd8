/**
 * A thread that runs receivers and nothing else, so that no task, however long it computes, keeps a broker waiting. It turns
 * what they receive into bytes in shared memory and acknowledges to the source when the driver has taken them.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { assertNever, errorFromData, errorToData, MillraceError } from '../../errors.js'
import type { Receiver } from '../../receiver/receiver.js'
import { type BlockStore, ReceiverSupervisor } from '../../receiver/receiver-supervisor.js'
import { framesOf } from '../../storage/record-frames.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import { systemClock } from '../../time.js'
import { graphShape } from '../graph-functions.js'
import type { LoadGraph } from '../recording-engine.js'
import type { ThreadStart } from './messages.js'
import type { BlockToStore, FromReceiverThread, ReceiverSettings, ToReceiverThread } from './receiver-messages.js'

const STATUS_MS = 1000

class ReceiverWorker {
  readonly #port: MessagePort
  readonly #receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly #supervisors = new Map<number, ReceiverSupervisor>()
  readonly #statusTimers = new Map<number, NodeJS.Timeout>()
  readonly #pool = new SharedPool()
  readonly #storing = new Map<number, { resolve(): void; reject(error: Error): void }>()
  readonly #asking = new Map<number, { resolve(blocks: readonly Uint8Array[]): void; reject(error: Error): void }>()
  #blocks: BlockToStore[] = []
  #nextCall = 0

  constructor(port: MessagePort, receivers: ReadonlyMap<number, Receiver<unknown>>) {
    this.#port = port
    this.#receivers = receivers
  }

  take(message: ToReceiverThread): void {
    switch (message.type) {
      case 'start':
        void this.#start(message.receiver)
        return
      case 'stop':
        void this.#stop(message.streamId)
        return
      case 'setRate':
        this.#supervisors.get(message.streamId)?.setRate(message.ratePerSecond)
        return
      case 'stored': {
        for (const memory of message.memory) this.#pool.give(memory)
        for (const { call, error } of message.answers) {
          const storing = this.#storing.get(call)
          this.#storing.delete(call)
          if (error === null) storing?.resolve()
          else storing?.reject(errorFromData(error))
        }
        return
      }
      case 'earlierBlocks': {
        const asking = this.#asking.get(message.call)
        this.#asking.delete(message.call)
        if (message.error === null) asking?.resolve(message.blocks)
        else asking?.reject(errorFromData(message.error))
        return
      }
      default:
        assertNever(message)
    }
  }

  async #start(settings: ReceiverSettings): Promise<void> {
    const { streamId } = settings
    const receiver = this.#receivers.get(streamId)
    if (receiver === undefined) throw new MillraceError('INTERNAL', `There is no receiver of stream ${streamId} here.`)
    const supervisor = new ReceiverSupervisor(receiver, {
      ...settings,
      clock: systemClock,
      store: this.#storeOf(streamId),
      events: {
        started: () => this.#post({ type: 'receiverStarted', streamId }),
        error: (message, error) => this.#post({ type: 'receiverError', streamId, message, error: errorToData(error) }),
        stopped: (message, error) =>
          this.#post({ type: 'receiverStopped', streamId, message, error: error === null ? null : errorToData(error) }),
      },
    })
    this.#supervisors.set(streamId, supervisor)
    this.#statusTimers.set(streamId, setInterval(() => this.#postStatus(streamId), STATUS_MS).unref())
    await supervisor.start()
    this.#postStatus(streamId)
  }

  async #stop(streamId: number): Promise<void> {
    await this.#supervisors.get(streamId)?.shutdown()
    clearInterval(this.#statusTimers.get(streamId))
    this.#postStatus(streamId)
    this.#post({ type: 'receiverEnded', streamId })
  }

  #postStatus(streamId: number): void {
    const status = this.#receivers.get(streamId)?.statusHere() ?? null
    if (status !== null) this.#post({ type: 'receiverStatus', streamId, status })
  }

  #storeOf(streamId: number): BlockStore {
    const store = (format: 'records' | 'bytes', parts: readonly Uint8Array[], records: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const call = this.#nextCall++
        const stored = { type: 'shared' as const, ...this.#pool.write(parts) }
        this.#storing.set(call, { resolve, reject })
        this.#toStore({ call, streamId, format, stored, records })
      })
    const ask = (question: (call: number) => FromReceiverThread): Promise<readonly Uint8Array[]> =>
      new Promise((resolve, reject) => {
        const call = this.#nextCall++
        this.#asking.set(call, { resolve, reject })
        this.#post(question(call))
      })
    return {
      storeRecords: async (records) => store('records', framesOf(records), records.length),
      storeBytes: ({ bytes, records, release }) => {
        const stored = store('bytes', [bytes], records)
        release?.()
        return stored
      },
      confirmed: (tail) => this.#post({ type: 'confirmed', streamId, tail }),
      unconfirmed: () => ask((call) => ({ type: 'unconfirmed', call, streamId })),
      remembered: (records) => ask((call) => ({ type: 'remembered', call, streamId, records })),
    }
  }

  /** Sends blocks together that come within one turn of the loop. */
  #toStore(block: BlockToStore): void {
    if (this.#blocks.push(block) === 1) setImmediate(() => this.#sendBlocks())
  }

  #sendBlocks(): void {
    if (this.#blocks.length === 0) return
    this.#port.postMessage({ type: 'store', blocks: this.#blocks } satisfies FromReceiverThread)
    this.#blocks = []
  }

  /** Nothing overtakes a block. */
  #post(message: FromReceiverThread): void {
    this.#sendBlocks()
    this.#port.postMessage(message)
  }
}

const port = parentPort!
const start = workerData as ThreadStart
process.setSourceMapsEnabled(true)
// The user's line may lie below many of a package's.
Error.stackTraceLimit = 50
try {
  const { loadGraph } = (await import(start.source.module)) as { loadGraph: LoadGraph }
  const { graph, receivers } = await loadGraph(start.source.args, { parallelism: start.parallelism, conf: start.conf })
  const worker = new ReceiverWorker(port, receivers)
  port.on('message', (message: ToReceiverThread) => worker.take(message))
  port.postMessage({ type: 'ready', shape: graphShape(graph) } satisfies FromReceiverThread)
} catch (thrown) {
  port.postMessage({ type: 'loadFailed', error: errorToData(thrown) } satisfies FromReceiverThread)
}
