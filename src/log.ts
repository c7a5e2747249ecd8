/** The log: one line an event on standard error, `time= level= msg= key=value … code= error=`, so that output and log never mix. */
import { MillraceError } from './errors.js'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const rank: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 }

/** Writes events of at least its level. The fields of `with` are on every line it writes. */
export class Log {
  readonly #level: LogLevel
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #write: (line: string) => void

  constructor(
    level: LogLevel,
    fields: Readonly<Record<string, unknown>> = {},
    write: (line: string) => void = toStandardError,
  ) {
    this.#level = level
    this.#fields = fields
    this.#write = write
  }

  /** The log of the process: its level is `MILLRACE_LOG`, `warn` when that is not set. Throws `INVALID_CONF` for a level there is not. */
  static fromEnvironment(level: string = process.env.MILLRACE_LOG || 'warn'): Log {
    if (!Object.hasOwn(rank, level)) {
      throw new MillraceError(
        'INVALID_CONF',
        `${JSON.stringify(level)} (from MILLRACE_LOG) is not a log level. Expected ${Object.keys(rank).join(', ')}.`,
      )
    }
    return new Log(level as LogLevel)
  }

  /** The same log with more fields on every line. */
  with(fields: Readonly<Record<string, unknown>>): Log {
    return new Log(this.#level, { ...this.#fields, ...fields }, this.#write)
  }

  debug(msg: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#event('debug', msg, fields)
  }

  info(msg: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#event('info', msg, fields)
  }

  warn(msg: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#event('warn', msg, fields)
  }

  error(msg: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#event('error', msg, fields)
  }

  #event(level: LogLevel, msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (rank[level] < rank[this.#level]) return
    const all = { time: new Date().toISOString(), level, msg, ...this.#fields, ...fields }
    this.#write(`${Object.entries(all).map(pair).join(' ')}\n`)
  }
}

/** `key=value`; an error that has a code shows it first, for whoever searches logs. */
function pair([key, value]: [string, unknown]): string {
  const code = value instanceof Error && 'code' in value ? `code=${quoted(value.code)} ` : ''
  return `${code}${key}=${quoted(value)}`
}

function quoted(value: unknown): string {
  const text =
    value instanceof Error ? value.message : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)
}

function toStandardError(line: string): void {
  process.stderr.write(line)
}
