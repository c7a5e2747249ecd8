/** Which line of the job an operation stands in, for names on pages and for error texts. */
import { userFrames } from '../user-frames.js'

/** The user's line may lie below many of ours. */
const DEPTH_MAX = 50

/** Where the user called what made this object. The stack is read only when somebody asks: with source maps that takes long. */
export class CallSite {
  readonly #error: Error
  #frames: readonly string[] | null = null

  constructor() {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = DEPTH_MAX
    this.#error = new Error('call site')
    Error.stackTraceLimit = limit
  }

  /** The lines of the stack that are the user's, the nearest first; none when nothing of the user's was running. */
  get frames(): readonly string[] {
    this.#frames ??= userFrames(this.#error)
    return this.#frames
  }

  /** The nearest line of the user's, such as `word-count.ts:12`, or null. */
  get place(): string | null {
    return /([^/\\(]+:\d+):\d+\)?$/.exec(this.frames[0] ?? '')?.[1] ?? null
  }
}
