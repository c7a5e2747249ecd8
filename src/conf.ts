/** Configuration: Spark's keys and Millrace's own, from several sources, read once and checked before anything starts. */
import { type ConfDefinition, type ConfKey, type ConfValue, confKeys } from './conf-keys.js'
import { MillraceError } from './errors.js'
import { isSecretName } from './secrets.js'
import { toMilliseconds } from './time.js'

export type { ConfKey, ConfKind, ConfValue } from './conf-keys.js'

/** Settings from one place. */
export interface ConfLayer {
  /** The place, as an error names it: `the job's code`, `--conf`, `millrace.conf`. */
  readonly source: string
  /** Values by key: text, numbers and booleans; undefined is as if it were not there. */
  readonly values: Readonly<Record<string, unknown>>
}

interface Setting {
  readonly value: boolean | number | string
  /** As it was given, units and all. */
  readonly text: string
  readonly source: string
}

/** The source of a layer given in code, where nothing else is said. */
export const codeSource = "the job's code"

/**
 * The settings in force. Made once, from all sources, strongest first; every key and value is checked then, so a slip in a
 * name stops the job before it starts and not at the first use.
 *
 * ```ts
 * import { Conf } from 'millrace'
 * const conf = Conf.from({ source: '--conf', values: { 'spark.streaming.blockInterval': '100ms' } })
 * conf.get('spark.streaming.blockInterval') // 100
 * ```
 */
export class Conf {
  readonly #set: ReadonlyMap<string, Setting>

  private constructor(set: ReadonlyMap<string, Setting>) {
    this.#set = set
  }

  /**
   * The settings of these layers, the first one strongest; a layer may be a plain object of values.
   *
   * Throws `UNKNOWN_CONF_KEY` for a name nobody knows, with the nearest one that is known, and `INVALID_CONF` for a value
   * that cannot be read as its key wants it.
   */
  static from(...layers: readonly (ConfLayer | Conf | Readonly<Record<string, unknown>>)[]): Conf {
    const set = new Map<string, Setting>()
    for (const layer of layers) {
      if (layer instanceof Conf) {
        for (const [key, entry] of layer.#set) if (!set.has(key)) set.set(key, entry)
        continue
      }
      const { source, values } = isLayer(layer) ? layer : { source: codeSource, values: layer }
      for (const [name, value] of Object.entries(values)) {
        if (value === undefined) continue
        const key = Object.hasOwn(aliases, name) ? aliases[name]! : name
        const read = readValue(key, value, source)
        if (!set.has(key)) set.set(key, { value: read, text: String(value).trim(), source })
      }
    }
    return new Conf(set)
  }

  /** The value of a key, as its kind says (durations in milliseconds, sizes in bytes); its default when nobody set it. */
  get<K extends ConfKey>(key: K): ConfValue<K> {
    return (this.#set.get(key)?.value ?? confKeys[key].default) as ConfValue<K>
  }

  /** True if some layer set this key. */
  has(key: string): boolean {
    return this.#set.has(key)
  }

  /** What was set, by key, as text, without the defaults: what a worker, or Spark, reads again. May hold secrets; for people see `describe`. */
  toObject(): Record<string, string> {
    return Object.fromEntries([...this.#set].map(([key, { text }]) => [key, text]))
  }

  /** What was set and where, for people: one line a key, sorted; values that may be secrets are hidden. */
  describe(): string[] {
    return [...this.#set]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { text, source }]) => `${key}=${isSecretName(key) ? '(hidden)' : text} (from ${source})`)
  }

  /** Keys that were set but change nothing on this engine. */
  withoutEffectOn(engine: 'embedded' | 'spark'): string[] {
    return [...this.#set.keys()].filter((key) => {
      const on = definition(key)?.on ?? 'spark'
      return on !== 'both' && on !== engine
    })
  }
}

/** Names of earlier releases of Spark, and what they are called now; and one short name. */
const aliases: Readonly<Record<string, ConfKey>> = {
  engine: 'millrace.engine',
  'spark.streaming.minRememberDuration': 'spark.streaming.fileStream.minRememberDuration',
}

/**
 * Families of keys that only Spark reads: passed on to it as they are, their names not checked. A key of `spark.streaming.`
 * or `millrace.` is never in one, so that a slip in what Millrace itself reads cannot pass.
 */
const sparkOnlyFamilies: readonly string[] = [
  'spark.acls.',
  'spark.admin.',
  'spark.archives',
  'spark.authenticate',
  'spark.blacklist.',
  'spark.blockManager.',
  'spark.cores.max',
  'spark.deploy.',
  'spark.driver.',
  'spark.driverEnv.',
  'spark.dynamicAllocation.',
  'spark.eventLog.',
  'spark.excludeOnFailure.',
  'spark.executor.',
  'spark.executorEnv.',
  'spark.files',
  'spark.hadoop.',
  'spark.history.',
  'spark.io.',
  'spark.jars',
  'spark.kerberos.',
  'spark.kryo',
  'spark.kubernetes.',
  'spark.local.dir',
  'spark.log',
  'spark.memory.',
  'spark.metrics.',
  'spark.modify.acls',
  'spark.network.',
  'spark.port.maxRetries',
  'spark.proxy',
  'spark.redaction.',
  'spark.reducer.',
  'spark.rpc.',
  'spark.security.',
  'spark.shuffle.',
  'spark.ssl.',
  'spark.submit.',
  'spark.task.resource.',
  'spark.ui.',
  'spark.worker.',
  'spark.yarn.',
]

/** The key of the table nearest to a misspelt name, or null when none is near. */
function nearestKey(name: string): ConfKey | null {
  let nearest: ConfKey | null = null
  let least = Math.ceil(name.length / 3)
  for (const key of Object.keys(confKeys) as ConfKey[]) {
    const distance = editDistance(name.toLowerCase(), key.toLowerCase(), least)
    if (distance < least) {
      least = distance
      nearest = key
    }
  }
  return nearest
}

function isLayer(layer: ConfLayer | Readonly<Record<string, unknown>>): layer is ConfLayer {
  return typeof layer.source === 'string' && typeof layer.values === 'object'
}

function definition(key: string): ConfDefinition | undefined {
  return Object.hasOwn(confKeys, key) ? confKeys[key as ConfKey] : undefined
}

function readValue(key: string, value: unknown, source: string): boolean | number | string {
  const known = definition(key)
  if (known === undefined) {
    if (sparkOnlyFamilies.some((family) => key.startsWith(family))) return String(value)
    const nearest = nearestKey(key)
    throw new MillraceError(
      'UNKNOWN_CONF_KEY',
      `${key} (from ${source}) is not a configuration key.${nearest === null ? ' docs/configuration.md lists all keys.' : ` Did you mean ${nearest}?`}`,
      { details: { key, nearest, source } },
    )
  }
  const read = parse(known, value)
  if (read !== null) return read
  const text = isSecretName(key) ? 'The value' : JSON.stringify(value)
  throw new MillraceError(
    'INVALID_CONF',
    `${text} (from ${source}) is no value for ${key}: expected ${expected(known)}.`,
    {
      details: { key, source },
    },
  )
}

/** The value in the form of `Conf.get`, or null when it cannot be read. */
function parse(known: ConfDefinition, value: unknown): boolean | number | string | null {
  const text = typeof value === 'string' ? value.trim() : value
  switch (known.kind) {
    case 'boolean':
      return text === true || text === 'true' ? true : text === false || text === 'false' ? false : null
    case 'count':
      return whole(text)
    case 'number': {
      const number =
        typeof text === 'number' ? text : typeof text === 'string' && text !== '' ? Number(text) : Number.NaN
      return Number.isFinite(number) && number >= 0 ? number : null
    }
    case 'duration':
      return duration(text, 1)
    case 'seconds':
      return duration(text, 1000)
    case 'bytes':
      return bytes(text)
    case 'text':
      if (typeof text !== 'string' || text === '') return null
      return known.choices === undefined || known.choices.includes(text) ? text : null
  }
}

function whole(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

function duration(value: unknown, unitMs: number): number | null {
  const bare = whole(value)
  if (bare !== null) return bare * unitMs
  if (typeof value !== 'string') return null
  try {
    return toMilliseconds(value)
  } catch {
    return null
  }
}

function bytes(value: unknown): number | null {
  const bare = whole(value)
  if (bare !== null) return bare
  const match = typeof value === 'string' ? /^(\d+)\s*([kmgt])b?$/i.exec(value) : null
  return match === null ? null : Number(match[1]) * 1024 ** ('kmgt'.indexOf(match[2]!.toLowerCase()) + 1)
}

function expected(known: ConfDefinition): string {
  if (known.choices !== undefined) return `one of ${known.choices.join(', ')}`
  switch (known.kind) {
    case 'boolean':
      return 'true or false'
    case 'count':
      return 'a whole number, 0 or more'
    case 'number':
      return 'a number, 0 or more'
    case 'duration':
      return 'a duration such as 200ms or 3s; a bare number counts milliseconds'
    case 'seconds':
      return 'a duration such as 60s or 2m; a bare number counts seconds'
    case 'bytes':
      return 'a size such as 512k or 64m; a bare number counts bytes'
    case 'text':
      return 'text'
  }
}

/** Levenshtein's distance, or `limit` once it cannot be less. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1))
    }
    if (Math.min(...row) >= limit) return limit
    previous = row
  }
  return previous[b.length]!
}
