/** A directory in memory that can run full, turn read-only, write short and lose what was not synced: faults as input. */
import type { DirectoryHandle, FileHandle } from '../../src/storage/directory-handle.js'

export type Operation = 'create' | 'open' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncDirectory'

interface Content {
  /** What a read gives: the system's cache. */
  bytes: Buffer
  /** What the disk holds. */
  synced: Buffer
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code })
}

export class FaultyDirectory implements DirectoryHandle {
  readonly path: string
  files = new Map<string, Content>()
  #syncedNames = new Map<string, Content>()
  readonly #children = new Map<string, FaultyDirectory>()
  /** Called before each operation; the system error code it returns makes the operation fail. */
  fault: (operation: Operation, name: string) => string | null = () => null
  /** Most bytes one write takes. */
  writeLimit = Number.POSITIVE_INFINITY
  /** Free bytes of the disk: a write takes what fits, the next one fails with ENOSPC. */
  free = Number.POSITIVE_INFINITY
  syncs = 0
  /** Held while not null: syncs wait for it, so that a test can look at what happens meanwhile. */
  syncGate: Promise<void> | null = null

  constructor(path = '/memory') {
    this.path = path
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()]
  }

  async create(name: string): Promise<FileHandle> {
    this.#check('create', name)
    if (this.files.has(name)) throw systemError('EEXIST')
    const content = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) }
    this.files.set(name, content)
    return this.#handle(name, content)
  }

  async open(name: string): Promise<FileHandle> {
    this.#check('open', name)
    const content = this.files.get(name)
    if (content === undefined) throw systemError('ENOENT')
    return this.#handle(name, content)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('rename', from)
    const content = this.files.get(from)
    if (content === undefined) throw systemError('ENOENT')
    this.files.delete(from)
    this.files.set(to, content)
  }

  async remove(name: string): Promise<void> {
    this.#check('remove', name)
    this.files.delete(name)
  }

  async sync(): Promise<void> {
    this.#check('syncDirectory', '')
    this.#syncedNames = new Map(this.files)
  }

  async directory(name: string): Promise<FaultyDirectory> {
    let child = this.#children.get(name)
    if (child === undefined) {
      child = new FaultyDirectory(`${this.path}/${name}`)
      this.#children.set(name, child)
    }
    return child
  }

  /**
   * Cuts the power: names not synced are gone; of bytes not synced, each page may have reached the disk or not (`keep` says
   * which), as a disk writes back in any order.
   */
  cutPower(keep: (page: number) => boolean = () => false): void {
    this.files = new Map(this.#syncedNames)
    for (const content of this.files.values()) {
      const after = Buffer.alloc(content.bytes.length)
      let length = content.synced.length
      content.synced.copy(after)
      for (let page = Math.floor(length / 512); page * 512 < content.bytes.length; page++) {
        if (!keep(page)) continue
        const end = Math.min((page + 1) * 512, content.bytes.length)
        content.bytes.copy(after, page * 512, page * 512, end)
        length = Math.max(length, end)
      }
      content.bytes = after.subarray(0, length)
      content.synced = Buffer.from(content.bytes)
    }
    for (const child of this.#children.values()) child.cutPower(keep)
  }

  /** Changes one bit of a file, on disk and in memory. */
  flipBit(name: string, offset: number): void {
    const content = this.files.get(name)!
    content.bytes[offset]! ^= 1
    content.synced = Buffer.from(content.bytes)
  }

  #check(operation: Operation, name: string): void {
    const code = this.fault(operation, name)
    if (code !== null) throw systemError(code)
  }

  #handle(name: string, content: Content): FileHandle {
    return {
      writev: async (chunks, position) => {
        this.#check('write', name)
        const all = Buffer.concat(chunks)
        const count = Math.min(all.length, this.writeLimit, this.free)
        if (count === 0 && all.length > 0) throw systemError('ENOSPC')
        this.free -= count
        const end = position + count
        if (end > content.bytes.length)
          content.bytes = Buffer.concat([content.bytes, Buffer.alloc(end - content.bytes.length)])
        all.copy(content.bytes, position, 0, count)
        return count
      },
      read: async (buffer, position) => content.bytes.copy(buffer, 0, position, position + buffer.byteLength),
      size: async () => content.bytes.length,
      truncate: async (bytes) => {
        this.#check('truncate', name)
        content.bytes = content.bytes.subarray(0, bytes)
      },
      datasync: async () => {
        const seen = Buffer.from(content.bytes)
        if (this.syncGate !== null) await this.syncGate
        this.#check('sync', name)
        this.syncs++
        content.synced = seen
      },
      isDeleted: async () => this.files.get(name) !== content,
      close: async () => {},
    }
  }
}
