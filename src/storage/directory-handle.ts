/** A directory as durable storage sees it: the few file operations it makes, behind an interface, so that tests can fill the disk or cut the power. */
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** A directory that exists. Every operation rejects with the system's error (`ENOSPC`, `EROFS`, `EACCES` …). */
export interface DirectoryHandle {
  /** For error texts. */
  readonly path: string
  /** The names of the files in it, in no order. */
  list(): Promise<string[]>
  /** Opens a new, empty file for writing. Rejects with `EEXIST` if there is one of that name. */
  create(name: string): Promise<FileHandle>
  /** Opens a file for reading. Rejects with `ENOENT` if there is none. */
  open(name: string): Promise<FileHandle>
  /** Renames within the directory, replacing what has the new name. */
  rename(from: string, to: string): Promise<void>
  /** Deletes a file; one that is not there is no error. */
  remove(name: string): Promise<void>
  /** Puts the directory's entries on disk: what was created, renamed and removed. */
  sync(): Promise<void>
  /** A directory inside this one, made if it is not there. */
  directory(name: string): Promise<DirectoryHandle>
}

/** An open file. */
export interface FileHandle {
  /** Writes the chunks at `position`, one after another. Resolves to the bytes written, which may be fewer than given. */
  writev(chunks: readonly Uint8Array[], position: number): Promise<number>
  /** Fills `buffer` from `position` on; resolves to the bytes read, fewer only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  size(): Promise<number>
  truncate(bytes: number): Promise<void>
  /** Puts the content on disk. */
  datasync(): Promise<void>
  /** True once it has no name any more: what is written to it is gone when it is closed. */
  isDeleted(): Promise<boolean>
  close(): Promise<void>
}

/** Opens the directory at `path` of the machine's file system, making it and its parents when they are not there. */
export async function openDirectory(path: string): Promise<DirectoryHandle> {
  await make(path)
  return new SystemDirectory(path)
}

/** Node's `recursive` tries for ever where a directory is there and nothing can be made in it, as in /proc. */
async function make(path: string): Promise<void> {
  try {
    await fs.mkdir(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await isDirectory(path))) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path || (await isDirectory(parent))) throw error
    await make(parent)
    await make(path)
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return await fs.stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

class SystemDirectory implements DirectoryHandle {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  list(): Promise<string[]> {
    return fs.readdir(this.path)
  }

  async create(name: string): Promise<FileHandle> {
    return new SystemFile(await fs.open(join(this.path, name), 'wx', 0o600))
  }

  async open(name: string): Promise<FileHandle> {
    return new SystemFile(await fs.open(join(this.path, name), 'r'))
  }

  rename(from: string, to: string): Promise<void> {
    return fs.rename(join(this.path, from), join(this.path, to))
  }

  remove(name: string): Promise<void> {
    return fs.rm(join(this.path, name), { force: true })
  }

  async sync(): Promise<void> {
    const handle = await fs.open(this.path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  directory(name: string): Promise<DirectoryHandle> {
    return openDirectory(join(this.path, name))
  }
}

class SystemFile implements FileHandle {
  readonly #handle: fs.FileHandle

  constructor(handle: fs.FileHandle) {
    this.#handle = handle
  }

  async writev(chunks: readonly Uint8Array[], position: number): Promise<number> {
    return (await this.#handle.writev(chunks, position)).bytesWritten
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let filled = 0
    while (filled < buffer.byteLength) {
      const { bytesRead } = await this.#handle.read(buffer, filled, buffer.byteLength - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes)
  }

  datasync(): Promise<void> {
    return this.#handle.datasync()
  }

  async isDeleted(): Promise<boolean> {
    return (await this.#handle.stat()).nlink === 0
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** Reads a whole file. */
export async function readFile(directory: DirectoryHandle, name: string): Promise<Buffer> {
  const file = await directory.open(name)
  try {
    const buffer = Buffer.allocUnsafe(await file.size())
    return buffer.subarray(0, await file.read(buffer, 0))
  } finally {
    await file.close()
  }
}

/** Writes a whole file so that, whatever happens meanwhile, its name leads to the old content or to the new, never to a part. */
export async function replaceFile(
  directory: DirectoryHandle,
  name: string,
  chunks: readonly Uint8Array[],
): Promise<void> {
  const temporary = `${name}.tmp`
  await createFile(directory, temporary, chunks)
  await directory.rename(temporary, name)
  await directory.sync()
}

/** Writes a file in the place of one that nobody wants. Its content is on disk when this resolves; its name, once the directory is synced. */
export async function createFile(
  directory: DirectoryHandle,
  name: string,
  chunks: readonly Uint8Array[],
): Promise<void> {
  await directory.remove(name)
  const file = await directory.create(name)
  try {
    await writeFully(file, chunks, 0)
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** Most chunks one system call takes (IOV_MAX of Linux is 1024). */
const MAX_CHUNKS = 1024

/** Writes every byte of the chunks from `position` on, however few the system takes at a time. Resolves to the position after them. */
export async function writeFully(file: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<number> {
  let rest = chunks.filter((chunk) => chunk.byteLength > 0)
  while (rest.length > 0) {
    let written = await file.writev(rest.length > MAX_CHUNKS ? rest.slice(0, MAX_CHUNKS) : rest, position)
    // A file system that takes nothing and reports nothing would keep us here for ever.
    if (written <= 0) throw Object.assign(new Error('The system wrote 0 bytes.'), { code: 'EIO' })
    position += written
    let done = 0
    while (done < rest.length && written >= rest[done]!.byteLength) written -= rest[done++]!.byteLength
    rest = rest.slice(done)
    if (written > 0) rest[0] = rest[0]!.subarray(written)
  }
  return position
}
