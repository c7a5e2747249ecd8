/** Records to bytes: values by their tags, arrays of like values by columns. */
import { MillraceError } from '../errors.js'
import type { ByteWriter } from './byte-writer.js'
import { Column, columnOf, isPlain } from './column-kind.js'
import { storableByPrototype, Tag, typedArrays } from './record-format.js'

/** Values nested deeper than this are taken for values that contain themselves. */
const MAX_DEPTH = 500

type Fields = Record<string, unknown>

/** Writes the values; the reader must know how many. Throws `NOT_SERIALIZABLE`. */
export function writeColumn(writer: ByteWriter, values: readonly unknown[], depth: number): void {
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
      writer.raw(int8s(values as readonly number[]))
      return
    case Column.int16:
      writer.raw(int16s(values as readonly number[]))
      return
    case Column.int32:
      writer.raw(int32s(values as readonly number[]))
      return
    case Column.float64:
      writer.raw(float64s(values as readonly number[]))
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

/** Where columns of numbers are put together: memory of its own for each would be most of the work. */
const scratch = new ArrayBuffer(256 * 1024)

function scratchFor(bytes: number): ArrayBuffer {
  return bytes <= scratch.byteLength ? scratch : new ArrayBuffer(bytes)
}

// A loop for each type: one for all takes three times as long, and `from` and `set`, for what they allow an array to be, still more.

function int8s(values: readonly number[]): Uint8Array {
  const column = new Int8Array(scratchFor(values.length * Int8Array.BYTES_PER_ELEMENT), 0, values.length)
  for (let i = 0; i < column.length; i++) column[i] = values[i]!
  return bytesOf(column)
}

function int16s(values: readonly number[]): Uint8Array {
  const column = new Int16Array(scratchFor(values.length * Int16Array.BYTES_PER_ELEMENT), 0, values.length)
  for (let i = 0; i < column.length; i++) column[i] = values[i]!
  return bytesOf(column)
}

function int32s(values: readonly number[]): Uint8Array {
  const column = new Int32Array(scratchFor(values.length * Int32Array.BYTES_PER_ELEMENT), 0, values.length)
  for (let i = 0; i < column.length; i++) column[i] = values[i]!
  return bytesOf(column)
}

function float64s(values: readonly number[]): Uint8Array {
  const column = new Float64Array(scratchFor(values.length * Float64Array.BYTES_PER_ELEMENT), 0, values.length)
  for (let i = 0; i < column.length; i++) column[i] = values[i]!
  return bytesOf(column)
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

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  for (const text of texts) writer.count(text.length)
  writer.text(texts.join(''))
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
    if (value instanceof Promise)
      throw unserializable(
        'a promise (functions such as that of map are not awaited: use mapPartitions with an async function)',
      )
    throw unserializable(`an instance of ${name}`)
  }
  const view = value as ArrayBufferView
  writeBytes(writer, [Tag.typedArray, kind], bytesOf(view))
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

function unserializable(what: string): MillraceError {
  return new MillraceError(
    'NOT_SERIALIZABLE',
    `A record holds ${what}, which cannot be stored or sent as bytes. Use plain objects, arrays, text, numbers, Date, Map, Set or typed arrays in records that are checkpointed, logged or moved between threads.`,
    { details: { what } },
  )
}
