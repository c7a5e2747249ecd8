/** Starts the real command line as a child process, as a person would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface CliOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Of the terminal. @default 100 */
  readonly columns?: number
  /** What standard output is piped into, in the terminal. */
  readonly into?: string
  /** Not killed at the end of the test that started it: several tests share it. */
  readonly isShared?: boolean
}

export interface CliResult {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `millrace` with these arguments to its end. */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new RunningCli(process.execPath, [main, ...args], options).ended
}

/** Starts `millrace` with these arguments; killed when the test ends before it does. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return new RunningCli(process.execPath, [main, ...args], options)
}

/** Starts a script with Node itself, without the command line. */
export function startNode(script: string, options: CliOptions = {}, args: readonly string[] = []): RunningCli {
  return new RunningCli(process.execPath, [script, ...args], options)
}

/** The same under a shell script, which runs it as `"$@"`. */
export function startCliWith(script: string, args: readonly string[], options: CliOptions = {}): RunningCli {
  return new RunningCli('bash', ['-c', script, 'bash', process.execPath, main, ...args], options)
}

/** The same with standard output piped into another command; the status is that of `millrace`. */
export function cliInto(reader: string, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const command = [process.execPath, main, ...args].map((part) => `'${part}'`).join(' ')
  return new RunningCli('bash', ['-c', `${command} | ${reader}; exit "\${PIPESTATUS[0]}"`], options).ended
}

/**
 * The same in a terminal: standard output and standard error are its screen, what is typed is standard input.
 * `exec`, because Ctrl-C also goes to a shell that waits there, and some shells then end with 130 whatever the command says.
 */
export function startCliInTerminal(args: readonly string[], options: CliOptions = {}): RunningCli {
  const command = [process.execPath, main, ...args].map((part) => `'${part}'`).join(' ')
  return new RunningCli(
    'script',
    [
      '-qefc',
      `stty cols ${options.columns ?? 100}; ${options.into === undefined ? `exec ${command}` : `${command} | ${options.into}`}`,
      '/dev/null',
    ],
    options,
  )
}

export class RunningCli {
  readonly ended: Promise<CliResult>
  readonly #child: ChildProcess
  stdout = ''
  stderr = ''

  constructor(program: string, args: readonly string[], { cwd, env, isShared }: CliOptions) {
    const child = spawn(program, args, { cwd, env: { ...process.env, NO_COLOR: '1', ...env }, stdio: 'pipe' })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = once(child, 'close').then(([status, signal]) => ({
      status,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }))
    if (isShared === true) return
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
  }

  /** Resolves when what it has written on standard output matches; rejects when it ends before. */
  async says(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    const arrived = new Promise<void>((resolve) => {
      const look = (): void => {
        if (pattern.test(this[stream])) resolve()
      }
      this.#child[stream]!.on('data', look)
      look()
    })
    const ended = this.ended.then(({ status, stdout, stderr }) => {
      if (!pattern.test(this[stream])) throw new Error(`Ended with ${status} before ${pattern}:\n${stdout}\n${stderr}`)
    })
    await Promise.race([arrived, ended])
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  type(text: string): void {
    this.#child.stdin!.write(text)
  }
}

/** A directory of its own for a test, with these files in it. */
export function files(contents: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  for (const [path, text] of Object.entries({ 'package.json': '{"type":"module"}', ...contents })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return directory
}

/** The batches `print` printed: the lines of records of each. */
export function printedBatches(stdout: string): string[][] {
  const rule = '-------------------------------------------'
  return stdout
    .replaceAll('\r\n', '\n')
    .split(new RegExp(`${rule}\\nTime: \\d+ ms\\n${rule}\\n`))
    .slice(1)
    .map((batch) => batch.split('\n').filter((line) => line !== ''))
}
