/** What the program under test has written: a file for each batch with a line `<key> <message> <number of its key>` for each message, and totals. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { KilledProgram } from './killed-program.js'
import { keys } from './numbered-publishing.js'

/** Message i belongs to key i % keys and must stand in one line of one file. */
export interface Outcome {
  missing: number
  repeated: number
  /** Numbers given to messages of a key that are not 1 to as many as it has, each once. */
  miscounted: number
}

export class KillOutput {
  readonly directory: string
  readonly #counted = new Set<string>()
  #lines = 0

  constructor(directory: string) {
    this.directory = directory
  }

  /**
   * Waits until so many lines are out. What waited while the program was killed again and again may take long; nothing for two minutes
   * is the end.
   */
  async complete(expected: number, program: KilledProgram): Promise<void> {
    for (let deadline = Date.now() + 120_000; this.#lines < expected && Date.now() < deadline; ) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(program.hasExited, program.said).toBe(false)
      const before = this.#lines
      await this.#countNew()
      if (this.#lines > before) deadline = Date.now() + 120_000
    }
  }

  /** Reads the files one by one into one byte for each message: a thousand kills let tens of millions through. */
  async outcome(published: number): Promise<Outcome> {
    const came = new Uint8Array(published)
    const numbered = new Uint8Array(published)
    let repeated = 0
    let miscounted = 0
    for (const name of await this.#files()) {
      for (const line of await this.#linesOf(name)) {
        const [key, id, number] = line.split(' ')
        // What was never published has no place, and counts like what has been there.
        if (came[Number(id)]!++ !== 0) repeated++
        // The n-th message of key k, whichever it was, takes the place of message (n - 1) * keys + k.
        const place = (Number(number) - 1) * keys + Number(key!.slice(1))
        if (numbered[place]!++ !== 0) miscounted++
      }
    }
    return { missing: came.reduce((missing, count) => missing + (count === 0 ? 1 : 0), 0), repeated, miscounted }
  }

  /** The totals of the keys are exact. */
  async expectTotals(published: number): Promise<void> {
    const totals = new Map(JSON.parse(await readFile(join(this.directory, 'totals'), 'utf8')) as [string, number][])
    for (let key = 0; key < keys; key++) {
      expect(totals.get(`k${key}`)).toBe(Math.floor((published - 1 - key) / keys) + 1)
    }
  }

  /** Each file once: waiting must not take the machine from the program. */
  async #countNew(): Promise<void> {
    for (const name of await this.#files()) {
      if (this.#counted.has(name)) continue
      this.#counted.add(name)
      this.#lines += (await this.#linesOf(name)).length
    }
  }

  async #files(): Promise<string[]> {
    return (await readdir(this.directory)).filter((name) => /^batch-\d+$/.test(name))
  }

  async #linesOf(name: string): Promise<string[]> {
    return (await readFile(join(this.directory, name), 'utf8')).split('\n')
  }
}
