/** The configuration keys Millrace knows: Spark's own names and defaults, and a few of its own under `millrace.` */
import { millraceKeys } from './conf-keys/millrace-keys.js'
import { sparkKeys } from './conf-keys/spark-keys.js'
import { streamingKeys } from './conf-keys/streaming-keys.js'

/**
 * How the text of a value is read, and what `Conf.get` gives for it.
 *
 *   boolean   `true` or `false`
 *   count     a whole number, 0 or more
 *   number    a number, 0 or more
 *   duration  milliseconds; a bare number counts milliseconds, text may carry a unit (`200ms`, `3s`)
 *   seconds   milliseconds; a bare number counts seconds, as these keys do in Spark, text may carry a unit
 *   bytes     bytes; a bare number counts bytes, text may carry a unit (`512k`, `64m`, `2g`)
 *   text      any text
 */
export type ConfKind = 'boolean' | 'count' | 'number' | 'duration' | 'seconds' | 'bytes' | 'text'

/** What the table says about one key. */
export interface ConfDefinition {
  readonly kind: ConfKind
  /** The value when nobody set one, in the form `Conf.get` gives; null when there is none. */
  readonly default: boolean | number | string | null
  /** The texts allowed, for a key that is a choice. */
  readonly choices?: readonly string[]
  /** Where setting it changes something; elsewhere it is accepted and a warning says so. */
  readonly on: 'both' | 'embedded' | 'spark' | 'neither'
  readonly doc: string
}

/** Every key with its kind, its default and its meaning. */
export const confKeys: typeof sparkKeys & typeof streamingKeys & typeof millraceKeys = {
  ...sparkKeys,
  ...streamingKeys,
  ...millraceKeys,
}

/** The name of a key the table knows. */
export type ConfKey = keyof typeof confKeys

type Definition<K extends ConfKey> = (typeof confKeys)[K]
type ValueOfKind<Kind extends ConfKind> = Kind extends 'boolean' ? boolean : Kind extends 'text' ? string : number
type ChoiceOf<D> = D extends { readonly choices: readonly (infer C)[] } ? C : never

/** What `Conf.get` gives for a key: null is possible only where the table has no default. */
export type ConfValue<K extends ConfKey> =
  | ([ChoiceOf<Definition<K>>] extends [never] ? ValueOfKind<Definition<K>['kind']> : ChoiceOf<Definition<K>>)
  | (Definition<K>['default'] extends null ? null : never)
