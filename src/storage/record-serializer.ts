/**
 * Records to bytes and back, by columns: an array of pairs is written as its keys and its values, an array of like objects
 * as one column a field, and a column of numbers or texts in one piece. Measured against v8.serialize and msgpackr in
 * `benchmarks/record-serializer.mjs`.
 */
import { MillraceError } from '../errors.js'
import { ByteReader, ByteWriter } from './byte-writer.js'
import { Column, columnOf, isPlain } from './column-kind.js'
import { objectMaker } from './object-maker.js'

/** First byte of every serialized array of records. */
const FORMAT_VERSION = 1
/** Values nested deeper than this are taken for values that contain themselves. */
const MAX_DEPTH = 500

/** How a single value is written. The numbers are part of the format. */
const Tag = {
  undefined: 0,
  null: 1,
  true: 2,
  false: 3,
  number: 4,
  text: 5,
  bigint: 6,
  date: 7,
  array: 8,
  object: 9,
  map: 10,
  set: 11,
  buffer: 12,
  arrayBuffer: 13,
  typedArray: 14,
  count: 15,
  storable: 16,
} as const

const typedArrays = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
] as const

type Fields = Record<string, unknown>

interface Storable {
  readonly name: string
  readonly pack: (instance: never) => unknown
  readonly unpack: (data: never) => unknown
}

const storableByPrototype = new Map<object, Storable>()
const storableByName = new Map<string, Storable>()

/**
 * Lets instances of a class of Millrace's own be stored: `pack` gives plain data, `unpack` makes an equal instance of it. The
 * name is part of the format.
 */
export function storableClass<T extends object, D>(
  name: string,
  type: { readonly prototype: T },
  pack: (instance: T) => D,
  unpack: (data: D) => T,
): void {
  const storable = { name, pack, unpack }
  storableByPrototype.set(type.prototype, storable)
  storableByName.set(name, storable)
}

/**
 * The records as bytes. Plain objects, arrays, text, numbers (NaN and -0 too), bigint, booleans, null, undefined, Date, Map,
 * Set, Buffer, ArrayBuffer and typed arrays come back equal; two references to one object come back as two objects.
 *
 * Throws `NOT_SERIALIZABLE` for a function, a symbol, an instance of a class (named in the text: its methods could not come
 * back) and a value that contains itself.
 */
export function serializeRecords(records: readonly unknown[]): Buffer {
  const writer = new ByteWriter(64 + records.length * 16)
  writer.byte(FORMAT_VERSION)
  writer.count(records.length)
  writeColumn(writer, records, 0)
  return Buffer.from(writer.written)
}

/** The records of bytes that `serializeRecords` made. Throws `CHECKPOINT_INVALID` for anything else. */
export function deserializeRecords(bytes: Uint8Array): unknown[] {
  const reader = new ByteReader(bytes)
  try {
    const version = reader.byte()
    if (version !== FORMAT_VERSION) throw new RangeError(`Format ${version} is not known.`)
    return readColumn(reader, reader.count())
  } catch (cause) {
    throw new MillraceError('CHECKPOINT_INVALID', 'Stored records cannot be read back: the bytes are damaged.', {
      cause,
    })
  }
}

function writeColumn(writer: ByteWriter, values: readonly unknown[], depth: number): void {
  if (depth > MAX_DEPTH) throw unserializable('a value that contains itself, or is nested more than 500 deep')
  const kind = columnOf(values)
  writer.byte(kind)
  switch (kind) {
    case Column.empty:
      return
    case Column.constant:
      writeValue(writer, values[0], depth)
      return
    case Column.int8:
      writer.raw(bytesOf(Int8Array.from(values as number[])))
      return
    case Column.int16:
      writer.raw(bytesOf(Int16Array.from(values as number[])))
      return
    case Column.int32:
      writer.raw(bytesOf(Int32Array.from(values as number[])))
      return
    case Column.float64:
      writer.raw(bytesOf(Float64Array.from(values as number[])))
      return
    case Column.texts:
      writeTexts(writer, values as readonly string[])
      return
    case Column.pairs:
      writeColumn(writer, elements(values as readonly unknown[][], 0), depth + 1)
      writeColumn(writer, elements(values as readonly unknown[][], 1), depth + 1)
      return
    case Column.objects:
      writeObjects(writer, values as readonly Fields[], depth)
      return
    case Column.buffers:
      for (const buffer of values as readonly Buffer[]) writer.count(buffer.length)
      for (const buffer of values as readonly Buffer[]) writer.raw(buffer)
      return
    default:
      for (const value of values) writeValue(writer, value, depth)
  }
}

function readColumn(reader: ByteReader, length: number): unknown[] {
  const kind = reader.byte()
  switch (kind) {
    case Column.empty:
      return []
    case Column.constant:
      return new Array(length).fill(readValue(reader))
    case Column.int8:
      return Array.from(new Int8Array(reader.copy(length)))
    case Column.int16:
      return Array.from(new Int16Array(reader.copy(length * 2)))
    case Column.int32:
      return Array.from(new Int32Array(reader.copy(length * 4)))
    case Column.float64:
      return Array.from(new Float64Array(reader.copy(length * 8)))
    case Column.texts:
      return readTexts(reader, length)
    case Column.pairs: {
      const keys = readColumn(reader, length)
      const values = readColumn(reader, length)
      for (let i = 0; i < length; i++) keys[i] = [keys[i], values[i]]
      return keys
    }
    case Column.objects:
      return readObjects(reader, length)
    case Column.buffers: {
      const lengths = Array.from({ length }, () => reader.count())
      return lengths.map((bytes) => Buffer.from(reader.copy(bytes)))
    }
    case Column.mixed: {
      const values: unknown[] = []
      for (let i = 0; i < length; i++) values.push(readValue(reader))
      return values
    }
    default:
      throw new RangeError(`Column kind ${kind} is not known.`)
  }
}

function elements(values: readonly unknown[][], index: number): unknown[] {
  const column = new Array<unknown>(values.length)
  for (let i = 0; i < values.length; i++) column[i] = values[i]![index]
  return column
}

function writeObjects(writer: ByteWriter, values: readonly Fields[], depth: number): void {
  const names = Object.keys(values[0]!)
  writer.count(names.length)
  for (const name of names) writer.text(name)
  for (const name of names) {
    const column = new Array<unknown>(values.length)
    for (let i = 0; i < values.length; i++) column[i] = values[i]![name]
    writeColumn(writer, column, depth + 1)
  }
}

function readObjects(reader: ByteReader, length: number): unknown[] {
  const names = Array.from({ length: reader.count() }, () => reader.text())
  const columns = names.map(() => readColumn(reader, length))
  const make = objectMaker(names)
  const objects: unknown[] = new Array(length)
  for (let i = 0; i < length; i++) objects[i] = make(columns, i)
  return objects
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  for (const text of texts) writer.count(text.length)
  writer.text(texts.join(''))
}

function readTexts(reader: ByteReader, length: number): string[] {
  const texts: unknown[] = new Array(length)
  for (let i = 0; i < length; i++) texts[i] = reader.count()
  const all = reader.text()
  let offset = 0
  for (let i = 0; i < length; i++) {
    const end = offset + (texts[i] as number)
    texts[i] = all.slice(offset, end)
    offset = end
  }
  return texts as string[]
}

function writeValue(writer: ByteWriter, value: unknown, depth: number): void {
  switch (typeof value) {
    case 'undefined':
      writer.byte(Tag.undefined)
      return
    case 'boolean':
      writer.byte(value ? Tag.true : Tag.false)
      return
    case 'number':
      if (Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)) {
        writer.byte(Tag.count)
        writer.count(value)
        return
      }
      writer.byte(Tag.number)
      writer.float64(value)
      return
    case 'string':
      writer.byte(Tag.text)
      writer.text(value)
      return
    case 'bigint':
      writer.byte(Tag.bigint)
      writer.text(value.toString(16))
      return
    case 'object':
      if (value === null) writer.byte(Tag.null)
      else writeObject(writer, value, depth + 1)
      return
    default:
      throw unserializable(typeof value === 'function' ? `the function ${value.name || '(anonymous)'}` : 'a symbol')
  }
}

function writeObject(writer: ByteWriter, value: object, depth: number): void {
  if (Array.isArray(value)) {
    writeElements(writer, Tag.array, value, depth)
    return
  }
  if (isPlain(value)) {
    const names = Object.keys(value)
    writeElements(writer, Tag.object, names, depth)
    writeColumn(writer, Object.values(value), depth)
    return
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Date.prototype) {
    writer.byte(Tag.date)
    writer.float64((value as Date).getTime())
    return
  }
  if (prototype === Map.prototype) {
    writeElements(writer, Tag.map, [...(value as Map<unknown, unknown>).keys()], depth)
    writeColumn(writer, [...(value as Map<unknown, unknown>).values()], depth)
    return
  }
  if (prototype === Set.prototype) {
    writeElements(writer, Tag.set, [...(value as Set<unknown>)], depth)
    return
  }
  if (Buffer.isBuffer(value)) {
    writeBytes(writer, [Tag.buffer], value)
    return
  }
  if (prototype === ArrayBuffer.prototype) {
    writeBytes(writer, [Tag.arrayBuffer], new Uint8Array(value as ArrayBuffer))
    return
  }
  const storable = storableByPrototype.get(prototype)
  if (storable !== undefined) {
    writer.byte(Tag.storable)
    writer.text(storable.name)
    writeValue(writer, storable.pack(value as never), depth)
    return
  }
  const kind = typedArrays.findIndex((type) => prototype === type.prototype)
  if (kind < 0) {
    const name = (value.constructor as { name?: string } | undefined)?.name || 'a class without a name'
    throw unserializable(`an instance of ${name}`)
  }
  const view = value as ArrayBufferView
  writeBytes(writer, [Tag.typedArray, kind], bytesOf(view))
}

function readValue(reader: ByteReader): unknown {
  const tag = reader.byte()
  switch (tag) {
    case Tag.undefined:
      return undefined
    case Tag.null:
      return null
    case Tag.true:
      return true
    case Tag.false:
      return false
    case Tag.number:
      return reader.float64()
    case Tag.count:
      return reader.count()
    case Tag.text:
      return reader.text()
    case Tag.bigint:
      return readBigint(reader.text())
    case Tag.date:
      return new Date(reader.float64())
    case Tag.array:
      return readColumn(reader, reader.count())
    case Tag.object: {
      const names = readColumn(reader, reader.count())
      const values = readColumn(reader, names.length)
      return objectMaker(names as string[])(
        values.map((value) => [value]),
        0,
      )
    }
    case Tag.map: {
      const keys = readColumn(reader, reader.count())
      const values = readColumn(reader, keys.length)
      return new Map(keys.map((key, i) => [key, values[i]]))
    }
    case Tag.set:
      return new Set(readColumn(reader, reader.count()))
    case Tag.buffer:
      return Buffer.from(reader.copy(reader.count()))
    case Tag.arrayBuffer:
      return reader.copy(reader.count())
    case Tag.typedArray: {
      const type = typedArrays[reader.byte()]
      if (type === undefined) throw new RangeError('A typed array of a kind that is not known.')
      return new (type as Uint8ArrayConstructor)(reader.copy(reader.count()))
    }
    case Tag.storable: {
      const name = reader.text()
      const storable = storableByName.get(name)
      if (storable === undefined) throw new RangeError(`Class ${name} is not known.`)
      return storable.unpack(readValue(reader) as never)
    }
    default:
      throw new RangeError(`Tag ${tag} is not known.`)
  }
}

function writeElements(writer: ByteWriter, tag: number, values: readonly unknown[], depth: number): void {
  writer.byte(tag)
  writer.count(values.length)
  writeColumn(writer, values, depth)
}

function writeBytes(writer: ByteWriter, head: readonly number[], bytes: Uint8Array): void {
  for (const byte of head) writer.byte(byte)
  writer.count(bytes.byteLength)
  writer.raw(bytes)
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

function readBigint(text: string): bigint {
  return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`)
}

function unserializable(what: string): MillraceError {
  return new MillraceError(
    'NOT_SERIALIZABLE',
    `A record holds ${what}, which cannot be stored or sent as bytes. Use plain objects, arrays, text, numbers, Date, Map, Set or typed arrays in records that are checkpointed, logged or moved between threads.`,
    { details: { what } },
  )
}
