/** A verb of the command line: what it is called, what it takes, what it does. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { MillraceError } from '../errors.js'

/** An option as `--help` shows it. */
export interface CommandOption {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean
  /** What stands after the name in the help, such as `URL`. */
  readonly placeholder?: string
  readonly help: string
}

export interface Command {
  readonly name: string
  /** One line for the list of verbs. */
  readonly summary: string
  /** What stands after the name, such as `<job.ts>`. */
  readonly positionals: string
  readonly options: Readonly<Record<string, CommandOption>>
  /** Shown below the options. */
  readonly notes?: string
  /** Does it; resolves to the exit status. */
  run(given: Given): Promise<number>
}

type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** The options and positionals of a call. */
export class Given {
  readonly positionals: readonly string[]
  readonly #values: OptionValues

  constructor(values: OptionValues, positionals: readonly string[]) {
    this.#values = values
    this.positionals = positionals
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | null {
    const value = this.#values[name]
    return typeof value === 'string' ? value : null
  }

  texts(name: string): string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.map(String) : []
  }

  /** A whole number from 1 on, or null when the option is not given. */
  count(name: string): number | null {
    const text = this.text(name)
    if (text === null) return null
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} ${text} is not a whole number from 1 on.`)
    return Number(text)
  }

  /** The one positional a verb wants. */
  only(what: string): string {
    if (this.positionals.length !== 1) {
      throw new UsageError(
        this.positionals.length === 0
          ? `${what} is missing.`
          : `Expected one ${what}, not ${this.positionals.join(' ')}.`,
      )
    }
    return this.positionals[0]!
  }
}

/** Thrown for a command line that cannot be understood; the status is then 2. */
export class UsageError extends MillraceError {
  constructor(message: string) {
    super('ILLEGAL_ARGUMENT', message)
  }
}

/** Reads the arguments of a verb. Throws UsageError. */
export function readArguments(command: Command, args: readonly string[]): Given {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } }
  for (const [name, { type, multiple }] of Object.entries(command.options)) {
    options[name] = { type, multiple: multiple ?? false }
  }
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
    if (command.positionals === '' && positionals.length > 0) {
      throw new UsageError(`millrace ${command.name} takes no ${positionals[0]}.`)
    }
    return new Given(values, positionals)
  } catch (error) {
    if (error instanceof UsageError) throw error
    // Node explains how to pass a positional that begins with a dash, which no one here wants.
    throw new UsageError(`${(error as Error).message.split('. To specify')[0]!}; see millrace ${command.name} --help.`)
  }
}

/** The help of a verb. */
export function helpOf(command: Command): string {
  const rows = Object.entries(command.options).map(([name, option]): [string, string] => [
    `--${name}${option.placeholder === undefined ? '' : ` ${option.placeholder}`}`,
    option.help,
  ])
  rows.push(['--help', 'show this'])
  return [
    `millrace ${command.name}${command.positionals === '' ? '' : ` ${command.positionals}`} [options]`,
    '',
    `${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`,
    '',
    'Options:',
    table(rows),
    ...(command.notes === undefined ? [] : ['', command.notes]),
  ].join('\n')
}

/** Two columns, the first as wide as its widest entry. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}

/** A number of things as people write it: `1 batch`, `1,500 messages`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${thousands(count)} ${count === 1 ? one : many}`
}

/** A whole number with its thousands set apart. */
export function thousands(n: number): string {
  return Math.round(n).toLocaleString('en-US')
}
