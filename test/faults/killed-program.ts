/** The program under test, killed at any moment and started again with the same arguments. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export class KilledProgram {
  readonly #arguments: readonly string[]
  #child: ChildProcess | null = null
  /** The end of what it said on standard error, for when something is wrong. */
  said = ''

  /** `file` is what Node runs, with the arguments that follow. */
  constructor(file: string, ...rest: string[]) {
    this.#arguments = [file, ...rest]
  }

  start(): void {
    const child = spawn(process.execPath, this.#arguments, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.on('data', (chunk: Buffer) => {
      this.said = (this.said + chunk.toString()).slice(-5000)
    })
    this.#child = child
  }

  /** Ends it, unless it has ended; resolves to its exit code, null after a kill. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === null) return null
    const exited = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
    child.kill(signal)
    await exited
    return child.exitCode
  }

  get hasExited(): boolean {
    return this.#child!.exitCode !== null
  }
}
