/** Files for what memory has no room for. They belong to one run of the program and go with it. */
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BlockContent, partsOf } from './block-manager.js'
import { framesOf } from './record-frames.js'
import { readStored, type StoredBytes } from './stored-bytes.js'

export class SpillDirectory {
  readonly path: string
  #made: Promise<unknown> | null = null
  #nextFile = 0

  /** The directory is made when the first file is written. */
  constructor(path: string) {
    this.path = path
  }

  /** Writes a block's content to a file. Rejects with `NOT_SERIALIZABLE` for records that have no bytes, and with the system's errors. */
  async write(content: Exclude<BlockContent, { type: 'logged' }>): Promise<StoredBytes> {
    const parts = await bytesOf(content)
    this.#made ??= mkdir(this.path, { recursive: true, mode: 0o700 })
    await this.#made
    const path = join(this.path, `block-${this.#nextFile++}`)
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writev(parts)
    } finally {
      await file.close()
    }
    return { type: 'file', path, offset: 0, length: parts.reduce((sum, part) => sum + part.byteLength, 0) }
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

async function bytesOf(content: Exclude<BlockContent, { type: 'logged' }>): Promise<Uint8Array[]> {
  if (content.type === 'records') return framesOf(content.records)
  if (content.type === 'bytes') return [content.bytes]
  return Promise.all(partsOf(content).map(readStored))
}
