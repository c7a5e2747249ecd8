/** The driver's side of one executor thread: starts it, sends it tasks, and says when it is gone. */
import { assertNever, errorFromData, type MillraceError } from '../../errors.js'
import type { FromThread, TaskData, ThreadStart, ToThread } from './messages.js'
import type { StageData } from './stage-data.js'
import { WorkerThread } from './worker-thread.js'

/** What happens in a thread, for its pool. */
export interface ThreadEvents {
  /** The graph is loaded; its shape is compared with the driver's. */
  ready(shape: readonly string[]): void
  /** The thread cannot load the job: no other will either. */
  loadFailed(error: Error): void
  taskDone(done: Extract<FromThread, { type: 'taskDone' }>): void
  taskFailed(taskId: number, error: Error): void
  /** The thread has ended, whatever it was doing; nothing comes from it any more. */
  lost(error: MillraceError): void
}

export class ExecutorThread {
  readonly id: number
  readonly #worker: WorkerThread<ToThread, FromThread>
  readonly #stages = new Set<number>()
  #spare: SharedArrayBuffer[] = []
  #forgotten: number[] = []
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
          case 'taskDone':
            return events.taskDone(message)
          case 'taskFailed':
            return events.taskFailed(message.taskId, errorFromData(message.error))
          default:
            return assertNever(message)
        }
      },
      onLost: events.lost,
    })
  }

  /** Sends a task, and its stage before the first one of it. */
  run(stage: StageData, task: TaskData): void {
    if (this.#spare.length > 0) {
      this.#post({ type: 'memory', memory: this.#spare })
      this.#spare = []
    }
    if (this.#forgotten.length > 0) {
      this.#post({ type: 'forgetRdds', rddIds: this.#forgotten })
      this.#forgotten = []
    }
    if (!this.#stages.has(stage.id)) {
      this.#stages.add(stage.id)
      this.#post({ type: 'stage', stage })
    }
    this.#post({ type: 'task', task })
  }

  forgetStage(stageId: number): void {
    if (this.#stages.delete(stageId)) this.#post({ type: 'forgetStage', stageId })
  }

  /** Lets go of what it holds of this RDD, with the next task. */
  forgetRdd(rddId: number): void {
    this.#forgotten.push(rddId)
  }

  /** Takes memory of this thread back to it, with the next task. */
  giveBack(memory: SharedArrayBuffer): void {
    this.#spare.push(memory)
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

  #post(message: ToThread): void {
    this.#worker.post(message)
  }
}
