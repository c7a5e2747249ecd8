/** What happens in a streaming context, as events: for metrics, pages and tests. Names and fields are Spark's. */
import type { Time } from '../time.js'
import type { ExecutorInfo, StageInfo, TaskInfo } from './task-info.js'

/** How many records one input stream brought to a batch. */
export interface StreamInputInfo {
  readonly streamId: number
  readonly numRecords: number
}

/** One output of one batch. Times are milliseconds since the epoch, null until known. */
export interface OutputOperationInfo {
  readonly batchTime: Time
  readonly id: number
  readonly name: string
  readonly startTime: Time | null
  readonly endTime: Time | null
  /** What made it fail, or null. */
  readonly failureReason: string | null
}

/** One batch. Delays are milliseconds, null until known. */
export interface BatchInfo {
  readonly batchTime: Time
  readonly inputs: readonly StreamInputInfo[]
  readonly numRecords: number
  readonly submissionTime: Time
  readonly processingStartTime: Time | null
  readonly processingEndTime: Time | null
  /** From submission to the start of the first job. */
  readonly schedulingDelay: number | null
  /** From the start of the first job to the end of the last. */
  readonly processingDelay: number | null
  /** The two together. */
  readonly totalDelay: number | null
  readonly outputOperations: readonly OutputOperationInfo[]
}

export interface ReceiverInfo {
  readonly streamId: number
  /** The class of the receiver. */
  readonly name: string
  readonly active: boolean
  readonly lastErrorMessage: string
  readonly lastError: string
  /** -1 when there was none. */
  readonly lastErrorTime: Time
}

/** Implement what you need; every method is called in the driver, in order, and must not block. What it throws is logged and ignored. */
export interface StreamingListener {
  onStreamingStarted?(event: { readonly time: Time }): void
  onReceiverStarted?(receiver: ReceiverInfo): void
  onReceiverError?(receiver: ReceiverInfo): void
  onReceiverStopped?(receiver: ReceiverInfo): void
  onBatchSubmitted?(batch: BatchInfo): void
  onBatchStarted?(batch: BatchInfo): void
  /** Also for failed batches: see `failureReason` of the output operations. */
  onBatchCompleted?(batch: BatchInfo): void
  onOutputOperationStarted?(output: OutputOperationInfo): void
  onOutputOperationCompleted?(output: OutputOperationInfo): void
  /** On the embedded engine, as all below. */
  onStageSubmitted?(stage: StageInfo): void
  /** Also for failed stages: see `failureReason`. */
  onStageCompleted?(stage: StageInfo): void
  onTaskStart?(task: TaskInfo): void
  /** For every attempt, whatever came of it: see `status`. */
  onTaskEnd?(task: TaskInfo): void
  onExecutorAdded?(executor: ExecutorInfo): void
  onExecutorRemoved?(executor: ExecutorInfo): void
}

type EventName = keyof StreamingListener

/** Hands each event to every listener. */
export class ListenerBus {
  readonly #listeners = new Set<StreamingListener>()
  #depth = 0

  add(listener: StreamingListener): void {
    this.#listeners.add(listener)
  }

  remove(listener: StreamingListener): void {
    this.#listeners.delete(listener)
  }

  /** True if some listener wants to hear of it: what is not wanted need not be put together. */
  wants(name: EventName): boolean {
    for (const listener of this.#listeners) if (listener[name] !== undefined) return true
    return false
  }

  /** True while a listener is being called. */
  get isDispatching(): boolean {
    return this.#depth > 0
  }

  post<N extends EventName>(name: N, event: Parameters<NonNullable<StreamingListener[N]>>[0]): void {
    this.#depth++
    try {
      for (const listener of this.#listeners) {
        try {
          const result: unknown = (listener[name] as ((event: unknown) => unknown) | undefined)?.call(listener, event)
          if (result instanceof Promise) result.catch((error: unknown) => warn(name, error))
        } catch (error) {
          warn(name, error)
        }
      }
    } finally {
      this.#depth--
    }
  }
}

function warn(name: EventName, error: unknown): void {
  process.emitWarning(`A StreamingListener failed in ${name}: ${String(error)}`, 'MillraceWarning')
}
