/** The driver's side of one executor thread: starts it, sends it tasks, and says when it is gone. */
import { assertNever, errorFromData, type MillraceError } from '../../errors.js'
import type { FromThread, TaskData, TaskOutcome, ThreadStart, ToThread } from './messages.js'
import type { StageData } from './stage-data.js'
import { WorkerThread } from './worker-thread.js'

/** What happens in a thread, for its pool. */
export interface ThreadEvents {
  /** The graph is loaded; its shape is compared with the driver's. */
  ready(shape: readonly string[]): void
  /** The thread cannot load the job: no other will either. */
  loadFailed(error: Error): void
  /** Tasks have ended; `isFree` when it has no more of them. */
  ended(outcomes: readonly TaskOutcome[], isFree: boolean): void
  /** The thread has ended, whatever it was doing; nothing comes from it any more. */
  lost(error: MillraceError): void
}

export class ExecutorThread {
  readonly id: number
  readonly #worker: WorkerThread<ToThread, FromThread>
  readonly #stages = new Set<number>()
  #useless: { stages: number[]; rdds: number[]; memory: SharedArrayBuffer[] } = { stages: [], rdds: [], memory: [] }
  #isEnding = false

  constructor(start: ThreadStart, events: ThreadEvents) {
    this.id = start.id
    this.#worker = new WorkerThread({
      kind: 'executor thread',
      id: start.id,
      entry: new URL('./worker.js', import.meta.url),
      start,
      heapBytes: start.heapBytes,
      onMessage: (message) => {
        switch (message.type) {
          case 'ready':
            return events.ready(message.shape)
          case 'loadFailed':
            return events.loadFailed(errorFromData(message.error))
          case 'ended':
            return events.ended(message.outcomes, message.isFree)
          default:
            return assertNever(message)
        }
      },
      onLost: events.lost,
    })
  }

  /** Sends tasks of a stage, with the stage before the first ones of it. */
  run(stage: StageData, tasks: readonly TaskData[]): void {
    const isKnown = this.#stages.has(stage.id)
    if (!isKnown) this.#stages.add(stage.id)
    const useless = this.#useless
    this.#useless = { stages: [], rdds: [], memory: [] }
    this.#worker.post({ stage: isKnown ? null : stage, tasks, useless })
  }

  /** What is of no use any more goes with the next tasks. */
  forgetStage(stageId: number): void {
    if (this.#stages.delete(stageId)) this.#useless.stages.push(stageId)
  }

  forgetRdd(rddId: number): void {
    this.#useless.rdds.push(rddId)
  }

  giveBack(memory: SharedArrayBuffer): void {
    this.#useless.memory.push(memory)
  }

  /** True once it has been told to end: it takes no more tasks. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Ends the thread, even in the middle of an endless loop; `lost` gets the reason. */
  async terminate(reason: MillraceError): Promise<void> {
    this.#isEnding = true
    await this.#worker.terminate(reason)
  }
}
