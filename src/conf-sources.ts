/** Where configuration comes from besides code: `--conf` arguments, a file, the environment. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConfLayer } from './conf.js'
import { type ConfKey, confKeys } from './conf-keys.js'
import { MillraceError } from './errors.js'

/** The file read when none is named, in the working directory. */
const defaultConfFile = 'millrace.conf'

const environmentPrefix = 'MILLRACE_CONF_'

/** The layer of `--conf key=value` arguments; a later one wins. Throws `INVALID_CONF` for one without `=`. */
export function argumentsLayer(pairs: readonly string[]): ConfLayer {
  const values: Record<string, string> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at <= 0) {
      throw new MillraceError(
        'INVALID_CONF',
        `--conf ${pair} is not key=value, such as spark.streaming.blockInterval=100ms.`,
      )
    }
    values[pair.slice(0, at).trim()] = pair.slice(at + 1).trim()
  }
  return { source: '--conf', values }
}

/**
 * The layer of a file. `*.json` is one object of keys and values; anything else is Spark's `spark-defaults.conf` form:
 * a line is a key, then spaces or `=`, then its value; `#` begins a comment.
 *
 * Throws `FILE_NOT_FOUND`, and `INVALID_CONF` with the line that cannot be read.
 */
export function fileLayer(path: string): ConfLayer {
  if (!existsSync(path)) throw new MillraceError('FILE_NOT_FOUND', `The configuration file ${path} does not exist.`)
  const text = readFileSync(path, 'utf8')
  return { source: path, values: path.endsWith('.json') ? parseJson(path, text) : parseProperties(path, text) }
}

/**
 * The layer of environment variables: `MILLRACE_CONF_` and the key in capitals, dots and word breaks as underscores.
 * `spark.streaming.blockInterval` is `MILLRACE_CONF_SPARK_STREAMING_BLOCK_INTERVAL`.
 *
 * Throws `UNKNOWN_CONF_KEY` for a variable with that prefix that names no key.
 */
export function environmentLayer(environment: Readonly<Record<string, string | undefined>>): ConfLayer {
  const keys = new Map((Object.keys(confKeys) as ConfKey[]).map((key) => [environmentName(key), key]))
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(environmentPrefix) || name === `${environmentPrefix}FILE` || value === undefined) continue
    const key = keys.get(name)
    if (key === undefined) {
      throw new MillraceError(
        'UNKNOWN_CONF_KEY',
        `The environment variable ${name} names no configuration key. spark.streaming.blockInterval, for one, is ${environmentName('spark.streaming.blockInterval')}.`,
      )
    }
    values[key] = value
  }
  return { source: 'the environment', values }
}

/** The environment variable of a key. */
export function environmentName(key: ConfKey): string {
  return (
    environmentPrefix +
    key
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .replaceAll('.', '_')
      .toUpperCase()
  )
}

let commandLine: readonly ConfLayer[] = []

/** Makes `layer` the settings this process was started with: the strongest of those around it. For the command `millrace`. */
export function setCommandLine(layer: ConfLayer): void {
  commandLine = [layer]
}

/**
 * The layers around a running process, strongest first: its command line, the file (`MILLRACE_CONF_FILE`, else `millrace.conf`
 * in `directory` if there is one), the environment.
 */
export function ambientLayers(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = process.cwd(),
): ConfLayer[] {
  const named = environment[`${environmentPrefix}FILE`]
  const path = resolve(directory, named ?? defaultConfFile)
  const file = named !== undefined || existsSync(path) ? [fileLayer(path)] : []
  return [...commandLine, ...file, environmentLayer(environment)]
}

function parseJson(path: string, text: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new MillraceError('INVALID_CONF', `${path} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new MillraceError('INVALID_CONF', `${path} must hold one object of keys and values.`)
  }
  return parsed as Record<string, unknown>
}

function parseProperties(path: string, text: string): Record<string, string> {
  const values: Record<string, string> = {}
  text.split(/\r?\n/).forEach((line, index) => {
    const content = line.trim()
    if (content === '' || content.startsWith('#')) return
    const match = /^([^\s=]+)(?:\s*=\s*|\s+)(\S.*)$/.exec(content)
    if (match === null) {
      throw new MillraceError('INVALID_CONF', `${path}:${index + 1} is not "key value": ${content.split(/[\s=]/)[0]}`)
    }
    values[match[1]!] = match[2]!
  })
  return values
}
