/** Bytes back to records: the counterpart of `record-writer.ts`. */
import type { ByteReader } from './byte-writer.js'
import { Column } from './column-kind.js'
import { objectMaker } from './object-maker.js'
import { storableByName, Tag, typedArrays } from './record-format.js'

/** Reads `length` values. Throws a RangeError when the bytes are no column. */
export function readColumn(reader: ByteReader, length: number): unknown[] {
  const kind = reader.byte()
  switch (kind) {
    case Column.empty:
      return []
    case Column.constant:
      return new Array(length).fill(readValue(reader))
    case Column.int8:
      return numbersOf(new Int8Array(reader.copy(length)))
    case Column.int16:
      return numbersOf(new Int16Array(reader.copy(length * 2)))
    case Column.int32:
      return numbersOf(new Int32Array(reader.copy(length * 4)))
    case Column.float64:
      return numbersOf(new Float64Array(reader.copy(length * 8)))
    case Column.texts:
      return readTexts(reader, length)
    case Column.pairs: {
      const keys = readColumn(reader, length)
      const values = readColumn(reader, length)
      // An array of its own: keys that are numbers would be boxed to make room for pairs.
      const pairs: unknown[] = new Array(length)
      for (let i = 0; i < length; i++) pairs[i] = [keys[i], values[i]]
      return pairs
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

/** As `Array.from`, which takes ten times as long for asking the iterator of the array. */
function numbersOf(column: Int8Array | Int16Array | Int32Array | Float64Array): unknown[] {
  const numbers: unknown[] = new Array(column.length)
  for (let i = 0; i < column.length; i++) numbers[i] = column[i]
  return numbers
}

function readObjects(reader: ByteReader, length: number): unknown[] {
  const names = Array.from({ length: reader.count() }, () => reader.text())
  const columns = names.map(() => readColumn(reader, length))
  const make = objectMaker(names)
  const objects: unknown[] = new Array(length)
  for (let i = 0; i < length; i++) objects[i] = make(columns, i)
  return objects
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
      return new (type as unknown as Uint8ArrayConstructor)(reader.copy(reader.count()))
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

function readBigint(text: string): bigint {
  return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`)
}
