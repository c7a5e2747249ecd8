/** Partitions as files, and directories of them that appear complete or not at all. */
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { MillraceError } from '../errors.js'
import { type LibraryFunction, libraryFunction } from '../rdd/task-function.js'
import { serializeRecords } from './record-serializer.js'

const chunkCharacters = 1 << 16
const chunkRecords = 4096

function partName(partition: number, extension = ''): string {
  return `part-${String(partition).padStart(5, '0')}${extension}`
}

/** Writes what `chunks` gives, compressed when the name ends in .gz. */
async function write(path: string, chunks: Iterable<string | Uint8Array>): Promise<void> {
  const source = Readable.from(chunks, { objectMode: false })
  const file = createWriteStream(path, { flush: true })
  await (path.endsWith('.gz') ? pipeline(source, createGzip(), file) : pipeline(source, file))
}

export const writeText: (directory: string, extension: string) => LibraryFunction = libraryFunction(
  'writeText',
  (directory: string, extension: string) => async (lines: Iterable<string>, partition: number) => {
    await write(join(directory, partName(partition, extension)), textChunks(lines))
    return []
  },
)

export const writeObjects: (directory: string) => LibraryFunction = libraryFunction(
  'writeObjects',
  (directory: string) => async (records: Iterable<unknown>, partition: number) => {
    await write(join(directory, partName(partition)), objectChunks(records))
    return []
  },
)

function* textChunks(lines: Iterable<string>): Generator<string, void> {
  let chunk = ''
  for (const line of lines) {
    chunk += `${line}\n`
    if (chunk.length < chunkCharacters) continue
    yield chunk
    chunk = ''
  }
  if (chunk !== '') yield chunk
}

/** Each piece is its length in four bytes, then the serialized records. */
function* objectChunks(records: Iterable<unknown>): Generator<Uint8Array, void> {
  let chunk: unknown[] = []
  const bytes = (): Uint8Array => {
    const body = serializeRecords(chunk)
    const head = Buffer.alloc(4)
    head.writeUInt32LE(body.length)
    return Buffer.concat([head, body])
  }
  for (const record of records) {
    if (chunk.push(record) < chunkRecords) continue
    yield bytes()
    chunk = []
  }
  if (chunk.length > 0) yield bytes()
}

let outputs = 0

/** Makes an empty directory beside `path`. Throws `OUTPUT_EXISTS` when `path` is there and may not be replaced. */
export async function beginOutput(path: string, mayReplace: boolean): Promise<string> {
  if (!mayReplace && (await stat(path).catch(() => null)) !== null) {
    throw new MillraceError(
      'OUTPUT_EXISTS',
      `${path} is there already. Remove it, choose another path, or save with overwrite.`,
      {
        details: { path },
      },
    )
  }
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${outputs++}.tmp`)
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  return temporary
}

/** Marks the directory as complete and gives it its name; one that had the name goes. */
export async function commitOutput(temporary: string, path: string): Promise<void> {
  await writeFile(join(temporary, '_SUCCESS'), '')
  const old = `${temporary}.old`
  const replaced = await rename(path, old).then(
    () => true,
    () => false,
  )
  await rename(temporary, path)
  if (replaced) await rm(old, { recursive: true, force: true })
}

export async function abortOutput(temporary: string): Promise<void> {
  await rm(temporary, { recursive: true, force: true })
}
