/** The user's lines in a stack: which line of the job an operation stands in, for names on pages and for error texts. */

// Ours as they run, and as their source maps show them.
const ourFiles = ['dist', 'src'].map((directory) => new URL(`../../${directory}/`, import.meta.url).pathname)
/** The user's line may lie below many of ours. */
const DEPTH_MAX = 50

/** The lines of an error's stack that are the user's, the nearest first: neither Node's, nor a package's, nor ours. */
export function userFrames(error: Error): string[] {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line))
  return frames
    .filter((line) => !/node:|\/node_modules\//.test(line) && !ourFiles.some((ours) => line.includes(ours)))
    .slice(0, 5)
}

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
