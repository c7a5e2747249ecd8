/** The state of one key as the function given to `mapWithState` sees it. */
import { MillraceError } from '../errors.js'
import type { StateEntry } from './state-map.js'

/**
 * The state of the key at hand: there or not, to be read, updated or removed. Valid only during the call it is given to.
 *
 * ```ts
 * import { type State, StateSpec } from 'millrace'
 * const count = (_key: string, value: number | null, state: State<number>) => {
 *   const total = (state.getOption() ?? 0) + (value ?? 0)
 *   state.update(total)
 *   return total
 * }
 * const spec = StateSpec.function(count).timeout('30s')
 * ```
 */
export class State<S> {
  #value: S | null = null
  #exists = false
  #isTimingOut = false
  #isUpdated = false
  #isRemoved = false

  /** True if the key has state and it has not been removed. */
  exists(): boolean {
    return this.#exists
  }

  /** The state. Throws `ILLEGAL_STATE` when there is none. */
  get(): S {
    if (!this.#exists)
      throw new MillraceError('ILLEGAL_STATE', 'This key has no state: look with exists(), or use getOption().')
    return this.#value as S
  }

  /** The state, or null when there is none. */
  getOption(): S | null {
    return this.#exists ? this.#value : null
  }

  /** Sets the state. Throws `ILLEGAL_ARGUMENT` after `remove`, and for a key that is timing out. */
  update(state: S): void {
    this.#assertMutable('update')
    this.#value = state
    this.#exists = true
    this.#isUpdated = true
  }

  /** Removes the state. Throws `ILLEGAL_ARGUMENT` when that was done already, and for a key that is timing out. */
  remove(): void {
    this.#assertMutable('remove')
    this.#exists = false
    this.#isUpdated = false
    this.#isRemoved = true
  }

  /** True in the last call for a key, made because nothing came for it during the time-out; its state goes after that call. */
  isTimingOut(): boolean {
    return this.#isTimingOut
  }

  /** True if `update` was called, and `remove` was not called after it. @internal */
  get isUpdated(): boolean {
    return this.#isUpdated
  }

  /** @internal */
  get isRemoved(): boolean {
    return this.#isRemoved
  }

  /** Makes this the state of another key. @internal */
  wrap(entry: StateEntry | null, isTimingOut = false): this {
    this.#value = entry === null ? null : (entry.state as S)
    this.#exists = entry !== null
    this.#isTimingOut = isTimingOut
    this.#isUpdated = false
    this.#isRemoved = false
    return this
  }

  #assertMutable(action: string): void {
    if (this.#isRemoved) throw new MillraceError('ILLEGAL_ARGUMENT', `Cannot ${action} the state: it has been removed.`)
    if (this.#isTimingOut)
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `Cannot ${action} the state: it is timing out, and goes after this call.`,
      )
  }
}
