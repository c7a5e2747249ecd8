/** Time in a micro-batch engine: durations, batch times, and the clock that is passed in wherever time matters. */
import { MillraceError } from './errors.js'

/** A length of time: a number of milliseconds, or text such as `'500ms'`, `'1s'`, `'2m'`, `'1h'`, `'1d'`. */
export type Duration = number | string

/** A moment, in milliseconds since the Unix epoch. A batch is named by its time; all batch times are multiples of the batch interval. */
export type Time = number

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** The duration of `n` milliseconds, in milliseconds. `milliseconds(500) === 500`. */
export function milliseconds(n: number): number {
  return toMilliseconds(n)
}

/** The duration of `n` seconds, in milliseconds. `seconds(2) === 2000`. */
export function seconds(n: number): number {
  return toMilliseconds(n * 1000)
}

/** The duration of `n` minutes, in milliseconds. `minutes(1) === 60000`. */
export function minutes(n: number): number {
  return toMilliseconds(n * 60_000)
}

/**
 * A duration as a whole number of milliseconds.
 *
 * Throws `INVALID_DURATION` for text it cannot read and for negative, fractional or infinite numbers.
 */
export function toMilliseconds(duration: Duration): number {
  if (typeof duration === 'number') {
    if (Number.isSafeInteger(duration) && duration >= 0) return duration
  } else {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(duration)
    const unit = match === null ? undefined : unitMs[match[2]!.toLowerCase()]
    if (match !== null && unit !== undefined) {
      const ms = Number(match[1]) * unit
      if (Number.isSafeInteger(ms)) return ms
    }
  }
  throw new MillraceError(
    'INVALID_DURATION',
    `${typeof duration === 'string' ? JSON.stringify(duration) : String(duration)} is not a duration. Expected a whole number of milliseconds or text such as '500ms', '1s', '2m', '1h'.`,
    { details: { value: duration } },
  )
}

/** True if `duration` is a whole multiple of `unit` (both in milliseconds). Spark's `Duration.isMultipleOf`. */
export function isMultipleOf(duration: number, unit: number): boolean {
  return duration % unit === 0
}

/** Arithmetic on batch times; the semantics are those of Spark's `Time`. */
export const Time = {
  /** The latest multiple of `duration`, counted from `zero`, that is not after `time` (rounding towards `zero`, as Spark does). */
  floor(time: Time, duration: Duration, zero: Time = 0): Time {
    const step = toMilliseconds(duration)
    return Math.trunc((time - zero) / step) * step + zero
  },
  /** The times from `from` up to, not including, `end`, one every `step`. */
  until(from: Time, end: Time, step: Duration): Time[] {
    const times: Time[] = []
    for (let time = from, ms = toMilliseconds(step); time < end; time += ms) times.push(time)
    return times
  },
  /** The times from `from` up to and including `end`, one every `step`. */
  to(from: Time, end: Time, step: Duration): Time[] {
    return Time.until(from, end + 1, step)
  },
} as const

/** The source of time and of wake-ups. Everything that waits takes one, so that tests turn the hands themselves. */
export interface Clock {
  /** The time now, in milliseconds since the epoch. */
  now(): Time
  /** Calls `wake` once when the clock reaches `time`, soon if it already has. The result cancels it. */
  at(time: Time, wake: () => void): () => void
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  at(time, wake) {
    let timer: NodeJS.Timeout | undefined
    // A Node timer may fire a millisecond early, and a wall clock may be set back: look again before waking.
    const wait = (): void => {
      const delay = time - Date.now()
      if (delay <= 0 && timer !== undefined) wake()
      else timer = setTimeout(wait, Math.min(Math.max(delay, 0), 0x7fff_ffff))
    }
    wait()
    return () => clearTimeout(timer)
  },
}

/** Resolves to true when `awaited` does, to false if `ms` milliseconds run out first; rejects as it does. */
export async function waitAtMost(ms: number, awaited: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timedOut = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  try {
    return await Promise.race([awaited.then(() => true), timedOut])
  } finally {
    clearTimeout(timer)
  }
}

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #now: Time
  readonly #waiting: { time: Time; wake: () => void }[] = []

  constructor(now: Time = 0) {
    this.#now = now
  }

  now(): Time {
    return this.#now
  }

  at(time: Time, wake: () => void): () => void {
    const waiter = { time, wake }
    this.#waiting.push(waiter)
    return () => {
      const index = this.#waiting.indexOf(waiter)
      if (index >= 0) this.#waiting.splice(index, 1)
    }
  }

  /** Moves the clock forward by `duration`, waking everyone due on the way, in order of their times. */
  advance(duration: Duration): void {
    this.setTo(this.#now + toMilliseconds(duration))
  }

  /** Moves the clock to `time`, waking everyone due on the way. A time in the past throws `ILLEGAL_ARGUMENT`. */
  setTo(time: Time): void {
    if (time < this.#now) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `A clock at ${this.#now} cannot go back to ${time}.`)
    }
    for (;;) {
      const due = this.#waiting.filter((waiter) => waiter.time <= time)
      if (due.length === 0) break
      const next = due.reduce((first, waiter) => (waiter.time < first.time ? waiter : first))
      this.#waiting.splice(this.#waiting.indexOf(next), 1)
      this.#now = Math.max(this.#now, next.time)
      next.wake()
    }
    this.#now = time
  }
}
