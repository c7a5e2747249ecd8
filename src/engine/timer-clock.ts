/** A batch clock over a clock that is passed in: a recurring timer. Spark's RecurringTimer, its catching up included. */
import type { Clock, Time } from '../time.js'
import type { BatchClock } from './engine.js'

export class TimerClock implements BatchClock {
  readonly #clock: Clock
  #cancel: () => void = () => {}
  #isStopped = false
  #lastTick: Time | null = null
  #ticking: Promise<void> = Promise.resolve()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): Time {
    return this.#clock.now()
  }

  start(firstTime: Time, intervalMs: number, tick: (time: Time) => Promise<void>): void {
    const schedule = (time: Time): void => {
      this.#cancel = this.#clock.at(time, () => {
        this.#lastTick = time
        this.#ticking = this.#ticking.then(() => tick(time))
        if (!this.#isStopped) schedule(time + intervalMs)
      })
    }
    schedule(firstTime)
  }

  settled(): Promise<void> {
    return this.#ticking
  }

  async stop(): Promise<Time | null> {
    this.#isStopped = true
    this.#cancel()
    await this.#ticking
    return this.#lastTick
  }
}
