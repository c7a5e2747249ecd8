/** The executor threads of `local[N]`: N of them as long as the engine runs, a lost one replaced at once. */
import { MillraceError } from '../../errors.js'
import { assertSameShape } from '../graph-functions.js'
import { ExecutorThread } from './executor-thread.js'
import type { TaskOutcome, ThreadStart } from './messages.js'
import type { TaskReporter } from './task-reporter.js'

/** What a pool tells its scheduler. */
export interface PoolEvents {
  /** A thread has become free to take tasks. */
  threadReady(thread: ExecutorThread): void
  /** Tasks have ended; `isFree` when the thread can take more. */
  ended(thread: ExecutorThread, outcomes: readonly TaskOutcome[], isFree: boolean): void
  /** The thread is gone, with whatever it was running. */
  threadLost(thread: ExecutorThread, error: MillraceError): void
  /** No thread can run this job, or none will any more. */
  failed(error: Error): void
}

export interface ThreadPoolOptions {
  readonly threads: number
  readonly start: Omit<ThreadStart, 'id'>
  /** The shape of the driver's graph, once it is complete. */
  readonly shape: () => readonly string[]
  /** The number for the next thread. */
  readonly nextId: () => number
  readonly reporter: TaskReporter
}

/** Threads that die one after another before they have loaded the job: then starting more is no use. */
const startsMax = 4

export class ThreadPool {
  readonly #options: ThreadPoolOptions
  readonly #threads = new Map<number, ExecutorThread>()
  readonly #ready = new Set<number>()
  #events: PoolEvents | null = null
  #failedStarts = 0
  #isClosed = false

  constructor(options: ThreadPoolOptions) {
    this.#options = options
  }

  /** Starts the threads, once; `events` hears of them from then on. */
  start(events: PoolEvents): void {
    if (this.#events !== null) return
    this.#events = events
    for (let i = 0; i < this.#options.threads; i++) this.#spawn(events)
  }

  /** The thread of that number, or undefined when it is gone. */
  get(id: number): ExecutorThread | undefined {
    return this.#threads.get(id)
  }

  /** The threads there are. */
  get threads(): Iterable<ExecutorThread> {
    return this.#threads.values()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const reason = new MillraceError('EXECUTOR_LOST', 'The engine is closing.')
    await Promise.all([...this.#threads.values()].map((thread) => thread.terminate(reason)))
  }

  #spawn(events: PoolEvents): void {
    const { start, shape, nextId, reporter } = this.#options
    const id = nextId()
    const thread: ExecutorThread = new ExecutorThread(
      { ...start, id },
      {
        ready: (found) => {
          try {
            assertSameShape(shape(), found)
            this.#failedStarts = 0
            this.#ready.add(id)
            reporter.executorAdded(id, 'tasks')
            events.threadReady(thread)
          } catch (error) {
            events.failed(error as Error)
          }
        },
        loadFailed: (error) => events.failed(error),
        ended: (outcomes, isFree) => events.ended(thread, outcomes, isFree),
        lost: (error) => {
          this.#threads.delete(id)
          // Who waits for a thread, or for what it was running, waits no longer.
          if (this.#isClosed) return events.failed(error)
          reporter.executorRemoved(id, 'tasks', error)
          if (!this.#ready.delete(id) && ++this.#failedStarts >= startsMax) {
            events.failed(error)
            return
          }
          this.#spawn(events)
          events.threadLost(thread, error)
        },
      },
    )
    this.#threads.set(id, thread)
  }
}
