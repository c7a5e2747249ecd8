/** A partition of an RDD in a file of its own: saved state. `docs/checkpoint-format.md` describes it. */
import { basename, dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { MillraceError } from '../errors.js'
import { createFile, type DirectoryHandle, readFile, replaceFile } from './directory-handle.js'
import { deserializeRecords, serializeRecords } from './record-serializer.js'

const MAGIC = Buffer.from('MLRPART\x1a', 'latin1')
const FORMAT_VERSION = 3
/** Magic, version, records, chunks, checksum of the place and of these. */
const HEADER_BYTES = 24
/** Length and checksum before each chunk. */
const CHUNK_HEADER_BYTES = 8
/** Records of one chunk: serializing them takes about a millisecond, then the thread is free for others. */
export const CHUNK_RECORDS = 4096

/** The name of a partition's file in its directory. */
export function partitionFileName(partition: number): string {
  return `part-${String(partition).padStart(5, '0')}`
}

/** Some records of a partition, serialized. */
export type EncodedChunk = readonly [records: number, bytes: Buffer]

/** The records in arrays as long as chunks are. */
function* inChunkLengths<T>(records: readonly T[]): Generator<T[]> {
  for (let from = 0; from < records.length; from += CHUNK_RECORDS) yield records.slice(from, from + CHUNK_RECORDS)
}

/** Records, given in arrays of any length, in chunks as the file has them; each is serialized when it is asked for. Throws `NOT_SERIALIZABLE`. */
export function* encodedChunks(records: Iterable<readonly unknown[]>): Generator<EncodedChunk> {
  for (const some of records) for (const chunk of inChunkLengths(some)) yield [chunk.length, serializeRecords(chunk)]
}

/**
 * Writes the chunks as the file of `partition`, on disk when it resolves to the bytes written; until then the file is not there
 * or the old one. Rejects with the system's error.
 */
export async function writePartition(
  directory: DirectoryHandle,
  partition: number,
  encoded: Iterable<EncodedChunk>,
): Promise<number> {
  const content = contentOf(directory, partition, encoded)
  await replaceFile(directory, partitionFileName(partition), content)
  return content.reduce((sum, { length }) => sum + length, 0)
}

/** As `writePartition`, in a directory that is nobody's yet: the file is there to stay once the directory is synced. */
export function createPartition(
  directory: DirectoryHandle,
  partition: number,
  encoded: Iterable<EncodedChunk>,
): Promise<void> {
  return createFile(directory, partitionFileName(partition), contentOf(directory, partition, encoded))
}

function contentOf(directory: DirectoryHandle, partition: number, encoded: Iterable<EncodedChunk>): Buffer[] {
  const chunks: Buffer[] = []
  let count = 0
  for (const [records, bytes] of encoded) {
    const header = Buffer.alloc(CHUNK_HEADER_BYTES)
    header.writeUInt32LE(bytes.length, 0)
    header.writeUInt32LE(crc32(bytes), 4)
    chunks.push(header, bytes)
    count += records
  }
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32LE(FORMAT_VERSION, 8)
  header.writeUInt32LE(count, 12)
  header.writeUInt32LE(chunks.length / 2, 16)
  header.writeUInt32LE(headerChecksum(header, directory, partition), 20)
  return [header, ...chunks]
}

/**
 * The records of a partition's file, in chunks that are decoded as they are asked for. Rejects with `CHECKPOINT_INVALID` for a
 * file that is missing, damaged or in the place of another, `CHECKPOINT_VERSION` for another format.
 */
export async function readPartition(directory: DirectoryHandle, partition: number): Promise<Iterable<unknown[]>> {
  return decoded(await readChunks(directory, partition))
}

/** Rejects as `readPartition` does; nothing is decoded. */
export async function checkPartition(directory: DirectoryHandle, partition: number): Promise<void> {
  await readChunks(directory, partition)
}

async function readChunks(directory: DirectoryHandle, partition: number): Promise<readonly Buffer[]> {
  const name = partitionFileName(partition)
  const bytes = await readFile(directory, name).catch((cause: unknown) => {
    throw damaged(directory, name, 'it cannot be read', cause)
  })
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC))
    throw damaged(directory, name, 'its header is missing')
  const version = bytes.readUInt32LE(8)
  if (version !== FORMAT_VERSION) {
    throw new MillraceError(
      'CHECKPOINT_VERSION',
      `${directory.path}/${name} has format ${version}; this version of Millrace reads format ${FORMAT_VERSION}.`,
      { details: { file: name, version } },
    )
  }
  if (bytes.readUInt32LE(20) !== headerChecksum(bytes, directory, partition))
    throw damaged(directory, name, 'its header is damaged, or it is not the file that was written there')
  const chunks: Buffer[] = []
  let offset = HEADER_BYTES
  for (let chunk = bytes.readUInt32LE(16); chunk > 0; chunk--) {
    const start = offset + CHUNK_HEADER_BYTES
    if (start > bytes.length) throw damaged(directory, name, `it ends at byte ${bytes.length}`)
    const content = bytes.subarray(start, start + bytes.readUInt32LE(offset))
    if (crc32(content) !== bytes.readUInt32LE(offset + 4))
      throw damaged(directory, name, `it is damaged at byte ${offset}`)
    chunks.push(content)
    offset = start + content.length
  }
  return chunks
}

/** Begun with where the file lies among saved state, `operator/layer/partition`: one that was put in the place of another is found out. */
function headerChecksum(header: Buffer, directory: DirectoryHandle, partition: number): number {
  const place = `${basename(dirname(directory.path))}/${basename(directory.path)}/${partition}`
  return crc32(header.subarray(0, 20), crc32(place))
}

function* decoded(chunks: readonly Buffer[]): Generator<unknown[]> {
  for (const chunk of chunks) yield deserializeRecords(chunk)
}

function damaged(directory: DirectoryHandle, name: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_INVALID',
    `The saved state in ${directory.path}/${name} cannot be used: ${what}. Restore the file from a copy, or start with an empty checkpoint directory.`,
    { cause, details: { directory: directory.path, file: name } },
  )
}
