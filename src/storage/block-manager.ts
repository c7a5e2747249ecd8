/** Keeps the blocks of one executor: received input and cached partitions, as values or as bytes. */
import { MillraceError } from '../errors.js'
import type { LogPosition } from './log-reader.js'
import type { StoredBytes } from './stored-bytes.js'

/** A block's content: records, or bytes that the stream's receiver reads back. */
export type KeptContent =
  | { readonly type: 'records'; readonly records: readonly unknown[] }
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }

/** A content that is kept here, or in memory all threads share, or the place in a log where it is. */
export type BlockContent =
  | KeptContent
  /** Where every thread can read it: frames of records, or the receiver's bytes. */
  | { readonly type: 'stored'; readonly format: 'records' | 'bytes'; readonly stored: StoredBytes }
  | {
      readonly type: 'logged'
      /** The directory of the log. */
      readonly directory: string
      readonly position: LogPosition
      readonly format: KeptContent['type']
    }

export class BlockManager {
  readonly #blocks = new Map<string, BlockContent>()
  readonly #onDropped: (content: BlockContent) => void

  /** `onDropped` gets each content that is removed or replaced. */
  constructor(onDropped: (content: BlockContent) => void = () => {}) {
    this.#onDropped = onDropped
  }

  /** How many blocks are kept. */
  get size(): number {
    return this.#blocks.size
  }

  put(id: string, content: BlockContent): void {
    this.remove(id)
    this.#blocks.set(id, content)
  }

  /** The block, or null when it is not kept here. */
  get(id: string): BlockContent | null {
    return this.#blocks.get(id) ?? null
  }

  /** The block. Throws `BLOCK_NOT_FOUND` when it is not kept here. */
  require(id: string): BlockContent {
    const content = this.#blocks.get(id)
    if (content === undefined)
      throw new MillraceError('BLOCK_NOT_FOUND', `Block ${id} is not kept here.`, { details: { block: id } })
    return content
  }

  remove(id: string): void {
    const content = this.#blocks.get(id)
    if (content === undefined) return
    this.#blocks.delete(id)
    this.#onDropped(content)
  }

  /** Removes every block whose id starts with `prefix`. */
  removeAll(prefix: string): void {
    for (const id of this.#blocks.keys()) if (id.startsWith(prefix)) this.remove(id)
  }
}

/** The id of a cached partition. */
export function partitionBlockId(rddId: number, partition: number): string {
  return `rdd-${rddId}-${partition}`
}
