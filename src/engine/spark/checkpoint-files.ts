/** The files that the Node driver keeps in a checkpoint directory, beside Spark's own, through the JVM: on whatever file system the directory is. */
import type { CallResult } from './bridge-connection.js'
import type { Operation, Value } from './protocol.js'

/** Files read at once. */
const READS_MAX = 16

export class CheckpointFiles {
  readonly #call: (operations: readonly Operation[]) => Promise<CallResult>
  readonly #root: string

  constructor(call: (operations: readonly Operation[]) => Promise<CallResult>, root: string) {
    this.#call = call
    this.#root = root.replace(/\/+$/, '')
  }

  /** The full name of a file or directory of the checkpoint. */
  path(name: string): string {
    return `${this.#root}/${name}`
  }

  /** The names in a directory; none when it is not there. */
  async list(name: string): Promise<readonly string[]> {
    return (await this.#one(['list', this.path(name)])) as readonly string[]
  }

  /** What was written under that name, or null. */
  async read<T>(name: string): Promise<T | null> {
    const bytes = (await this.#one(['read', this.path(name)])) as Uint8Array | null
    return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as T)
  }

  /** Everything in a directory. */
  async readAll<T>(directory: string): Promise<T[]> {
    const names = (await this.list(directory)).filter((name) => name.endsWith('.json')).sort()
    const found: T[] = []
    for (let from = 0; from < names.length; from += READS_MAX) {
      const some = names.slice(from, from + READS_MAX).map((name) => this.read<T>(`${directory}/${name}`))
      for (const content of await Promise.all(some)) if (content !== null) found.push(content)
    }
    return found
  }

  /** Writes plain data, wholly or not at all; it is there when this resolves. */
  async write(name: string, content: unknown): Promise<void> {
    await this.#one(['write', this.path(name), Buffer.from(JSON.stringify(content))])
  }

  /** Deletes files and directories. */
  async delete(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#call(names.map((name) => ['delete', this.path(name)]))
  }

  async #one(operation: Operation): Promise<Value> {
    return (await this.#call([operation])).value
  }
}
