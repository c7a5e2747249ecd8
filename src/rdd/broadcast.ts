/** A value that many tasks read. */
import { MillraceError } from '../errors.js'

/**
 * A read-only value for functions to use. On `local` it is the value itself. Workers build the same graph and so make it again:
 * make broadcasts where the graph is described, of values that are the same in every process.
 *
 * ```ts
 * import { StreamingContext } from 'millrace'
 * const { sparkContext } = new StreamingContext({ appName: 'names', batchInterval: '1s' })
 * const names = sparkContext.broadcast(new Map([[1, 'boiler'], [2, 'pump']]))
 * await sparkContext.parallelize([1, 2]).map((id) => names.value.get(id)).collect()
 * ```
 */
export class Broadcast<out T> {
  readonly id: number
  #content: { readonly value: T } | null

  /** @internal */
  constructor(id: number, value: T) {
    this.id = id
    this.#content = { value }
  }

  /** Throws `ILLEGAL_STATE` after `destroy`. */
  get value(): T {
    if (this.#content === null)
      throw new MillraceError('ILLEGAL_STATE', `Broadcast ${this.id} was used after it was destroyed.`)
    return this.#content.value
  }

  /** Lets go of the value for good. */
  destroy(): void {
    this.#content = null
  }
}
