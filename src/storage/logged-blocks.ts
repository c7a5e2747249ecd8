/** Reads blocks back from the logs that hold them: after a recovery, and when memory had no room for them. */
import type { BlockContent, KeptContent } from './block-manager.js'
import { openDirectory } from './directory-handle.js'
import { decodeBlockContent } from './journal-events.js'
import { LogRecords } from './log-reader.js'

export class LoggedBlocks {
  readonly #logs = new Map<string, Promise<LogRecords>>()

  /** The content of a block, from its log. Rejects with `BLOCK_NOT_FOUND` when the log has let go of it, `LOG_CORRUPT` when it is damaged. */
  async read({ directory, position, format }: Extract<BlockContent, { type: 'logged' }>): Promise<KeptContent> {
    let records = this.#logs.get(directory)
    if (records === undefined) {
      records = openDirectory(directory).then((handle) => new LogRecords(handle))
      this.#logs.set(directory, records)
    }
    return decodeBlockContent(await (await records).read(position), format)
  }

  /** Closes the files. */
  async close(): Promise<void> {
    const logs = [...this.#logs.values()]
    this.#logs.clear()
    for (const records of logs) await (await records).close()
  }
}
