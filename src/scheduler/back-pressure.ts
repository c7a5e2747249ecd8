/** Sets the rates of the receivers from how the batches went: a listener, present when `spark.streaming.backpressure.enabled` is on. */
import { type PidOptions, RateController } from '../receiver/rate-control.js'
import type { BatchInfo, StreamingListener } from './streaming-listener.js'

export class BackPressure implements StreamingListener {
  readonly #controller: RateController

  /** Throws `ILLEGAL_ARGUMENT` for knobs that make no sense. */
  constructor(options: PidOptions, setRate: (streamId: number, ratePerSecond: number) => void) {
    this.#controller = new RateController(options, setRate)
  }

  /** Spark's RateController: the input of the batch, and how long it waited and took. */
  onBatchCompleted({ inputs, processingEndTime, processingDelay, schedulingDelay }: BatchInfo): void {
    if (processingEndTime === null || processingDelay === null || schedulingDelay === null) return
    for (const { streamId, numRecords } of inputs) {
      this.#controller.completed(streamId, {
        time: processingEndTime,
        records: numRecords,
        processingDelayMs: processingDelay,
        schedulingDelayMs: schedulingDelay,
      })
    }
  }
}
