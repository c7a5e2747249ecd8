/** FutureAction: the promise of an action that can be cancelled. */
import { cancelled, type JobScopes } from './job-scope.js'

/**
 * What an asynchronous action gives: a promise of its result with a way to call it off. Spark's FutureAction.
 *
 * ```ts
 * import { StreamingContext } from 'millrace'
 * const { sparkContext } = new StreamingContext({ appName: 'count', batchInterval: '1s' })
 * const counting = sparkContext.range(1000).countAsync()
 * setTimeout(() => counting.cancel(), 60_000).unref()
 * await counting // 1000
 * ```
 */
export class FutureAction<T> implements Promise<T> {
  readonly [Symbol.toStringTag]: string = 'FutureAction'
  readonly #abort = new AbortController()
  readonly #result: Promise<T>
  #isCompleted = false

  /** @internal */
  constructor(scopes: JobScopes, body: () => Promise<T>) {
    this.#result = scopes.cancellable(this.#abort.signal, async () => {
      try {
        return await body()
      } finally {
        this.#isCompleted = true
      }
    })
  }

  /**
   * Has the action reject with `JOB_CANCELLED`; nothing changes when it is completed. Its tasks that have not begun are left
   * out, those that run end by themselves.
   */
  cancel(): void {
    if (this.#isCompleted) return
    // Whoever cancels knows; that nobody awaits the result any more is no error.
    this.#result.catch(() => {})
    this.#abort.abort(cancelled(null))
  }

  /** True after `cancel`, unless the result was there before. */
  get isCancelled(): boolean {
    return this.#abort.signal.aborted
  }

  /** True once the result, or an error, is there. */
  get isCompleted(): boolean {
    return this.#isCompleted
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<A = T, B = never>(
    onResult?: ((result: T) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onResult, onError)
  }

  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#result.catch(onError)
  }

  finally(onSettled?: (() => void) | null): Promise<T> {
    return this.#result.finally(onSettled)
  }
}
