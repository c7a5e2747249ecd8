/** Back pressure by rate: from how long batches take, how many records a second each receiver may bring. Spark's formula and defaults. */
import { MillraceError } from '../errors.js'
import type { Time } from '../time.js'

/** The knobs of the estimator: `spark.streaming.backpressure.pid.*`. */
export interface PidOptions {
  readonly batchIntervalMs: number
  /** Weight of the error of the last rate. @default 1 */
  readonly proportional?: number
  /** Weight of what has piled up, seen as scheduling delay. @default 0.2 */
  readonly integral?: number
  /** Weight of the change of the error. @default 0 */
  readonly derivative?: number
  /** The lowest rate ever given, records per second. @default 100 */
  readonly minRate?: number
}

/** What is known of a finished batch of one stream. */
export interface FinishedBatch {
  /** When its processing ended. */
  readonly time: Time
  readonly records: number
  readonly processingDelayMs: number
  readonly schedulingDelayMs: number
}

/** A PID controller over the processing rate, as Spark's `PIDRateEstimator`. */
export class PidRateEstimator {
  readonly #batchIntervalMs: number
  readonly #proportional: number
  readonly #integral: number
  readonly #derivative: number
  readonly #minRate: number
  #lastTime: Time = -1
  #lastRate = -1
  #lastError = -1
  #isFirst = true

  /** Throws `ILLEGAL_ARGUMENT` unless the batch interval and the lowest rate are above 0 and the weights not below it. */
  constructor(options: PidOptions) {
    this.#batchIntervalMs = above(0, 'batchIntervalMs', options.batchIntervalMs)
    this.#proportional = notBelow(0, 'proportional', options.proportional ?? 1)
    this.#integral = notBelow(0, 'integral', options.integral ?? 0.2)
    this.#derivative = notBelow(0, 'derivative', options.derivative ?? 0)
    this.#minRate = above(0, 'minRate', options.minRate ?? 100)
  }

  /**
   * The rate for the time to come, records per second, or null when this batch teaches nothing: it had no records, took no
   * time, came out of order, or is the first one, which only sets the base.
   */
  compute({ time, records, processingDelayMs, schedulingDelayMs }: FinishedBatch): number | null {
    if (time <= this.#lastTime || records <= 0 || processingDelayMs <= 0) return null
    const sinceLast = (time - this.#lastTime) / 1000
    const processingRate = (records / processingDelayMs) * 1000
    const error = this.#lastRate - processingRate
    // Records waiting now, as a rate: what it would take to work them off within one interval.
    const piledUp = (schedulingDelayMs * processingRate) / this.#batchIntervalMs
    const change = (error - this.#lastError) / sinceLast
    const rate = Math.max(
      this.#lastRate - this.#proportional * error - this.#integral * piledUp - this.#derivative * change,
      this.#minRate,
    )
    this.#lastTime = time
    if (this.#isFirst) {
      this.#isFirst = false
      this.#lastRate = processingRate
      this.#lastError = 0
      return null
    }
    this.#lastRate = rate
    this.#lastError = error
    return rate
  }
}

/** One estimator for each receiver; gives every new rate, a whole number of records per second, to `setRate`. */
export class RateController {
  readonly #options: PidOptions
  readonly #setRate: (streamId: number, ratePerSecond: number) => void
  readonly #estimators = new Map<number, PidRateEstimator>()

  constructor(options: PidOptions, setRate: (streamId: number, ratePerSecond: number) => void) {
    this.#options = options
    this.#setRate = setRate
    // A wrong knob is reported when the context is made, not after the first batch.
    new PidRateEstimator(options)
  }

  /** Takes in a batch of one stream that has been processed. */
  completed(streamId: number, batch: FinishedBatch): void {
    let estimator = this.#estimators.get(streamId)
    if (estimator === undefined) {
      estimator = new PidRateEstimator(this.#options)
      this.#estimators.set(streamId, estimator)
    }
    const rate = estimator.compute(batch)
    if (rate !== null && rate > 0) this.#setRate(streamId, Math.max(1, Math.floor(rate)))
  }
}

function above(limit: number, name: string, value: number): number {
  if (value > limit) return value
  throw new MillraceError(
    'ILLEGAL_ARGUMENT',
    `The rate estimator's ${name} must be greater than ${limit}, not ${value}.`,
  )
}

function notBelow(limit: number, name: string, value: number): number {
  if (value >= limit) return value
  throw new MillraceError(
    'ILLEGAL_ARGUMENT',
    `The rate estimator's ${name} must not be less than ${limit}, not ${value}.`,
  )
}
