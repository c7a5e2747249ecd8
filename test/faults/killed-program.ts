/** A program under test, killed at any moment and started again in the same way. */
import { expect } from 'vitest'
import type { RunningCli } from '../cli/cli.js'

export class KilledProgram {
  readonly #start: () => RunningCli
  #running: RunningCli | null = null

  constructor(start: () => RunningCli) {
    this.#start = start
  }

  start(): void {
    this.#running = this.#start()
  }

  /** The end of what it said on standard error since its last start, for when something is wrong. */
  get said(): string {
    return this.#running!.stderr.slice(-5000)
  }

  get hasExited(): boolean {
    return this.#running!.hasExited
  }

  /** Kills it; fails when it had ended by itself. */
  async kill(): Promise<void> {
    this.#running!.signal('SIGKILL')
    const { signal, stderr } = await this.#running!.ended
    expect(signal, stderr.slice(-5000)).toBe('SIGKILL')
  }

  /** Asks it to end; fails unless it ends well. */
  async stop(): Promise<void> {
    this.#running!.signal('SIGTERM')
    const { status, stderr } = await this.#running!.ended
    expect(status, stderr.slice(-5000)).toBe(0)
  }
}
