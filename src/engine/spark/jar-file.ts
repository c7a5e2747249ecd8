/** Adds files to a jar, which is a zip: the new entries go before the directory at its end, uncompressed. */
import { crc32 } from 'node:zlib'

const LOCAL_HEADER = 0x04034b50
const DIRECTORY_HEADER = 0x02014b50
const DIRECTORY_END = 0x06054b50
const DIRECTORY_END_BYTES = 22
/** 1 January 1980: the same content gives the same jar. */
const DATE = 0x21

/** The bytes of `jar` with these files in it, by name. Throws RangeError when `jar` is no zip, or one of more than 4 GiB. */
export function withFiles(jar: Buffer, files: Readonly<Record<string, Buffer>>): Buffer {
  const end = jar.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (end < 0 || jar.length - end < DIRECTORY_END_BYTES) throw new RangeError('This is not a jar.')
  const entries = jar.readUInt16LE(end + 10)
  const directoryBytes = jar.readUInt32LE(end + 12)
  const directoryAt = jar.readUInt32LE(end + 16)
  const parts = [jar.subarray(0, directoryAt)]
  const directory = [jar.subarray(directoryAt, directoryAt + directoryBytes)]
  let at = directoryAt
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(name)
    const about = entry(bytes, content)
    const local = Buffer.concat([uint32(LOCAL_HEADER), about, bytes])
    directory.push(
      Buffer.concat([uint32(DIRECTORY_HEADER), Buffer.from([20, 0]), about, Buffer.alloc(10), uint32(at), bytes]),
    )
    parts.push(local, content)
    at += local.length + content.length
  }
  const listing = Buffer.concat(directory)
  const trailer = Buffer.alloc(DIRECTORY_END_BYTES)
  const count = entries + Object.keys(files).length
  trailer.writeUInt32LE(DIRECTORY_END, 0)
  trailer.writeUInt16LE(count, 8)
  trailer.writeUInt16LE(count, 10)
  trailer.writeUInt32LE(listing.length, 12)
  trailer.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, listing, trailer])
}

/** What both headers of a file say of it, from the version needed to the length of its extra field. */
function entry(name: Buffer, content: Buffer): Buffer {
  const about = Buffer.alloc(26)
  about.writeUInt16LE(20, 0)
  about.writeUInt16LE(DATE, 8)
  about.writeUInt32LE(crc32(content), 10)
  about.writeUInt32LE(content.length, 14)
  about.writeUInt32LE(content.length, 18)
  about.writeUInt16LE(name.length, 22)
  return about
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
