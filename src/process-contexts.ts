/** The streaming contexts of this process: at most one of them is active at a time. */
import type { CheckpointOptions } from './context-options.js'
import { MillraceError } from './errors.js'
import { StreamInputs } from './stream-inputs.js'
import type { StreamingContext } from './streaming-context.js'

let active: StreamingContext | null = null
let last: StreamingContext | null = null
let replacement: ((ssc: StreamingContext) => Promise<void>) | null = null
let file: string | null = process.argv[1] ?? null
let watcher: ((ssc: StreamingContext) => void) | null = null

/** The context this process made last, whatever its state; null for none. @internal */
export function lastContext(): StreamingContext | null {
  return last
}

/** Notes that a context was made. @internal */
export function noteMade(ssc: StreamingContext): void {
  last = ssc
}

/** Has `watch` called with every context that becomes active, before it does anything; null ends that. @internal */
export function watchActive(watch: ((ssc: StreamingContext) => void) | null): void {
  watcher = watch
}

/** The file that describes the jobs of this process; null when there is none. @internal */
export function jobFile(): string | null {
  return file
}

/** Says which file describes the jobs of this process. @default the program's own @internal */
export function setJobFile(path: string): void {
  file = path
}

/** From now on a start calls `start` and does nothing else; null ends that. @internal */
export function startInstead(start: ((ssc: StreamingContext) => Promise<void>) | null): void {
  replacement = start
}

/** What to do in the place of a start, or null. @internal */
export function replacementOfStart(): ((ssc: StreamingContext) => Promise<void>) | null {
  return replacement
}

/** From now on `ssc` is the one that runs. Throws `CONTEXT_ALREADY_ACTIVE` when another one does. @internal */
export function becomeActive(ssc: StreamingContext): void {
  if (active !== null) {
    throw new MillraceError(
      'CONTEXT_ALREADY_ACTIVE',
      `Only one StreamingContext may run in a process, and ${active.sparkContext.appName} does. Stop it first.`,
    )
  }
  active = ssc
  watcher?.(ssc)
}

/** From now on `ssc` does not run. @internal */
export function ceaseActive(ssc: StreamingContext): void {
  if (active === ssc) active = null
}

export abstract class ProcessContexts extends StreamInputs {
  /** The context of this process that is ACTIVE, or null. */
  static getActive(): StreamingContext | null {
    return active
  }

  /**
   * The context that `create` describes, going on from the checkpoint in `directory` when there is one. A checkpoint holds
   * data, not code, so `create` is called in either case.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = await StreamingContext.getOrCreate('/var/lib/meter', () => {
   *   const ssc = new StreamingContext({ appName: 'meter', batchInterval: '1s' })
   *   ssc.queueStream([[1]]).print()
   *   return ssc
   * })
   * ```
   */
  static async getOrCreate(
    directory: string,
    create: () => StreamingContext | Promise<StreamingContext>,
    options: CheckpointOptions = {},
  ): Promise<StreamingContext> {
    const ssc = await create()
    ssc.checkpoint(directory, options)
    return ssc
  }

  /**
   * The context that is ACTIVE in this process; when there is none, the one that `create` describes, with a directory as
   * `getOrCreate` gives it.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = await StreamingContext.getActiveOrCreate(() => {
   *   const ssc = new StreamingContext({ appName: 'meter', batchInterval: '1s' })
   *   ssc.queueStream([[1]]).print()
   *   return ssc
   * })
   * ```
   */
  static getActiveOrCreate(create: () => StreamingContext | Promise<StreamingContext>): Promise<StreamingContext>
  static getActiveOrCreate(
    directory: string,
    create: () => StreamingContext | Promise<StreamingContext>,
    options?: CheckpointOptions,
  ): Promise<StreamingContext>
  static async getActiveOrCreate(
    directoryOrCreate: string | (() => StreamingContext | Promise<StreamingContext>),
    create?: () => StreamingContext | Promise<StreamingContext>,
    options?: CheckpointOptions,
  ): Promise<StreamingContext> {
    if (active !== null) return active
    if (typeof directoryOrCreate === 'string')
      return await ProcessContexts.getOrCreate(directoryOrCreate, create!, options)
    return await directoryOrCreate()
  }
}
