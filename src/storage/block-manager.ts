/**
 * Keeps the blocks of one process: received input, and the partitions of RDDs that are persisted. Partitions share a bound of
 * memory: beyond it the one used longest ago goes to disk, if its level has disk or nobody could compute it again, else away.
 * Input is never evicted; it has a bound of its own, before it is stored.
 */
import { MillraceError } from '../errors.js'
import type { StorageLevel } from '../rdd/storage-level.js'
import { estimateBytes } from './input-memory.js'
import type { LentBytes } from './lent-bytes.js'
import type { LogPosition } from './log-reader.js'
import type { SpillDirectory } from './spill-directory.js'
import type { StoredBytes } from './stored-bytes.js'

/** A block's content: records, or bytes that the stream's receiver reads back. */
export type KeptContent =
  | { readonly type: 'records'; readonly records: readonly unknown[] }
  /** `lent` where the memory is used again once the block is dropped. */
  | { readonly type: 'bytes'; readonly bytes: Uint8Array; readonly lent?: LentBytes }

/** A content that is kept here, or in memory all threads share or a file, or the place in a log where it is. */
export type BlockContent =
  | KeptContent
  /** Where every thread can read it: frames of records, or the receiver's bytes. */
  | {
      readonly type: 'stored'
      readonly format: 'records' | 'bytes'
      readonly stored: StoredBytes
      /** Frames that stand before those of `stored` and belong to other blocks as well. */
      readonly beneath?: readonly StoredBytes[]
    }
  | {
      readonly type: 'logged'
      /** The directory of the log. */
      readonly directory: string
      readonly position: LogPosition
      readonly format: KeptContent['type']
    }

/** What of a storage level decides about eviction. */
export type KeepLevel = Pick<StorageLevel, 'useMemory' | 'useDisk'>

export interface BlockManagerOptions {
  /** Memory that partitions of persisted RDDs may take, in bytes. */
  readonly memoryBytes: number
  readonly spill: SpillDirectory
  /** Gets each content that is removed or replaced. */
  readonly onDropped: (content: BlockContent) => void
}

interface Entry {
  content: BlockContent
  /** True while it is in memory, and counted. */
  isCounted: boolean
  /** The level of a partition; null for input, which is not evicted. */
  readonly level: KeepLevel | null
}

export class BlockManager {
  readonly #options: BlockManagerOptions
  /** In order of use, the one used longest ago first. */
  readonly #blocks = new Map<string, Entry>()
  /** RDDs that nobody can compute again. */
  readonly #pinned = new Set<number>()
  readonly #spilling = new Set<Promise<void>>()
  /** How many blocks share a piece of memory: it is counted once. */
  readonly #sharers = new Map<SharedArrayBuffer, number>()
  #memoryUsed = 0

  constructor(options: BlockManagerOptions) {
    this.#options = options
  }

  /** How many blocks are kept. */
  get size(): number {
    return this.#blocks.size
  }

  /** Bytes that partitions take in memory. */
  get memoryUsed(): number {
    return this.#memoryUsed
  }

  /** Keeps received input, as it is. */
  put(id: string, content: BlockContent): void {
    this.#set(id, { content, isCounted: false, level: null })
  }

  /** Keeps a partition of a persisted RDD as its level says; a level without disk may keep nothing when there is no room. */
  keep(rddId: number, partition: number, content: BlockContent, level: KeepLevel): void {
    const id = partitionBlockId(rddId, partition)
    const entry = { content, isCounted: false, level }
    this.#set(id, entry)
    if (!isInMemory(content)) return
    this.#count(entry)
    this.#makeRoom(rddId)
    if (!level.useMemory || this.#memoryUsed > this.#options.memoryBytes) this.#evict(id, entry)
  }

  /** From now on the partitions of this RDD are never given up: it is about to lose the history it could be computed from. */
  pin(rddId: number): void {
    this.#pinned.add(rddId)
  }

  /** The block, or null when it is not kept here. */
  get(id: string): BlockContent | null {
    const entry = this.#blocks.get(id)
    if (entry === undefined) return null
    if (entry.level !== null) {
      this.#blocks.delete(id)
      this.#blocks.set(id, entry)
    }
    return entry.content
  }

  /** True if the block is kept here; does not count as a use. */
  has(id: string): boolean {
    return this.#blocks.has(id)
  }

  /** The block. Throws `BLOCK_NOT_FOUND` when it is not kept here. */
  require(id: string): BlockContent {
    const content = this.get(id)
    if (content === null) {
      throw new MillraceError('BLOCK_NOT_FOUND', `Block ${id} is not kept here.`, { details: { block: id } })
    }
    return content
  }

  remove(id: string): void {
    const entry = this.#blocks.get(id)
    if (entry === undefined) return
    this.#blocks.delete(id)
    this.#uncount(entry)
    this.#options.onDropped(entry.content)
  }

  /** A file is gone: partitions that were in it are not kept any more, so that they are computed again where they can be. */
  lost(path: string): void {
    for (const [id, { content, level }] of this.#blocks) {
      const isIn = content.type === 'stored' && content.stored.type === 'file' && content.stored.path === path
      if (isIn && level !== null) this.remove(id)
    }
  }

  /** Removes the partitions of an RDD. */
  removeRdd(rddId: number): void {
    this.#pinned.delete(rddId)
    const prefix = partitionBlockId(rddId, '')
    for (const id of this.#blocks.keys()) if (id.startsWith(prefix)) this.remove(id)
  }

  /** Resolves when what is on its way to disk is there. */
  async settled(): Promise<void> {
    while (this.#spilling.size > 0) await Promise.all(this.#spilling)
  }

  #set(id: string, entry: Entry): void {
    this.remove(id)
    this.#blocks.set(id, entry)
  }

  #count(entry: Entry): void {
    entry.isCounted = true
    const { content } = entry
    if (content.type !== 'stored') {
      this.#memoryUsed += bytesOf(content)
      return
    }
    for (const memory of memoriesOf(content)) {
      const sharers = this.#sharers.get(memory) ?? 0
      this.#sharers.set(memory, sharers + 1)
      if (sharers === 0) this.#memoryUsed += memory.byteLength
    }
  }

  #uncount(entry: Entry): void {
    if (!entry.isCounted) return
    entry.isCounted = false
    const { content } = entry
    if (content.type !== 'stored') {
      this.#memoryUsed -= bytesOf(content)
      return
    }
    for (const memory of memoriesOf(content)) {
      const sharers = this.#sharers.get(memory)! - 1
      if (sharers > 0) this.#sharers.set(memory, sharers)
      else {
        this.#sharers.delete(memory)
        this.#memoryUsed -= memory.byteLength
      }
    }
  }

  /** Evicts partitions of other RDDs, the one used longest ago first, until the bound is kept. Spark's rule. */
  #makeRoom(exceptRdd: number): void {
    const own = partitionBlockId(exceptRdd, '')
    for (const [id, entry] of this.#blocks) {
      if (this.#memoryUsed <= this.#options.memoryBytes) return
      if (entry.level !== null && entry.isCounted && !id.startsWith(own)) this.#evict(id, entry)
    }
  }

  #evict(id: string, entry: Entry): void {
    if (!entry.level!.useDisk && !this.#pinned.has(rddOf(id))) {
      this.remove(id)
      return
    }
    // Counted as gone at once: it stays readable until it is on disk, which is soon.
    this.#uncount(entry)
    const spilled = this.#spill(id, entry).catch((error: unknown) => {
      if (this.#blocks.get(id) === entry) this.#count(entry)
      process.emitWarning(`Block ${id} stays in memory: ${String(error)}`, 'MillraceWarning')
    })
    this.#spilling.add(spilled)
    void spilled.finally(() => this.#spilling.delete(spilled))
  }

  async #spill(id: string, entry: Entry): Promise<void> {
    const { content } = entry
    if (content.type === 'logged') return
    const stored = await this.#options.spill.write(content)
    const format = content.type === 'stored' ? content.format : content.type
    const spilled: BlockContent = { type: 'stored', format, stored }
    if (this.#blocks.get(id) !== entry) {
      this.#options.onDropped(spilled)
      return
    }
    entry.content = spilled
    this.#options.onDropped(content)
  }
}

/** All bytes of a content that is stored, in order. */
export function partsOf({ stored, beneath = [] }: Extract<BlockContent, { type: 'stored' }>): readonly StoredBytes[] {
  return [...beneath, stored]
}

/** The id of a kept partition. */
export function partitionBlockId(rddId: number, partition: number | ''): string {
  return `rdd-${rddId}-${partition}`
}

function rddOf(id: string): number {
  return Number(id.split('-')[1])
}

function isInMemory(content: BlockContent): boolean {
  if (content.type === 'stored') return memoriesOf(content).length > 0
  return content.type !== 'logged'
}

function bytesOf(content: Exclude<BlockContent, { type: 'stored' }>): number {
  switch (content.type) {
    case 'records':
      return estimateBytes(content.records)
    case 'bytes':
      return content.bytes.byteLength
    case 'logged':
      return 0
  }
}

function memoriesOf(content: Extract<BlockContent, { type: 'stored' }>): SharedArrayBuffer[] {
  return partsOf(content).flatMap((part) => (part.type === 'shared' ? [part.memory] : []))
}
