/** Frames over a byte stream: four bytes of length (of what follows), one byte of type, the body. And the values control frames carry. */
import { MillraceError } from '../../errors.js'
import type { Value } from './protocol.js'

/** A longer frame means the stream is out of step, not that somebody sent so much. */
const FRAME_BYTES_MAX = 2 ** 30
const HEADER_BYTES = 5

/**
 * Cuts a byte stream into frames: give it what was read, it calls `onFrame` for each frame that is complete. A body is a buffer of
 * its own, or a view of the bytes given when it lies in them whole.
 */
export class FrameReader {
  readonly #onFrame: (type: number, body: Buffer) => void
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #body: Buffer | null = null
  #bodyBytes = 0

  constructor(onFrame: (type: number, body: Buffer) => void) {
    this.#onFrame = onFrame
  }

  /** True between two frames: the only place where a stream may end. */
  get isBetweenFrames(): boolean {
    return this.#headerBytes === 0
  }

  /** Takes the next bytes of the stream. Throws `BRIDGE_PROTOCOL_ERROR` when they are not frames. */
  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#headerBytes < HEADER_BYTES) {
        const copied = bytes.copy(this.#header, this.#headerBytes, at)
        this.#headerBytes += copied
        at += copied
        if (this.#headerBytes < HEADER_BYTES) return
        const length = this.#bodyLength()
        if (bytes.length - at >= length) {
          // The usual case for small frames: no copy.
          this.#deliver(bytes.subarray(at, at + length))
          at += length
          continue
        }
        this.#body = Buffer.allocUnsafe(length)
        this.#bodyBytes = 0
      }
      const body = this.#body!
      const copied = bytes.copy(body, this.#bodyBytes, at)
      this.#bodyBytes += copied
      at += copied
      if (this.#bodyBytes === body.length) this.#deliver(body)
    }
  }

  #bodyLength(): number {
    const length = this.#header.readInt32BE(0)
    if (length < 1 || length > FRAME_BYTES_MAX) {
      throw new MillraceError(
        'BRIDGE_PROTOCOL_ERROR',
        `A frame of ${length} bytes cannot be: the stream carries something else than frames.`,
      )
    }
    return length - 1
  }

  #deliver(body: Buffer): void {
    this.#headerBytes = 0
    this.#body = null
    this.#onFrame(this.#header[4]!, body)
  }
}

/** The bytes of a control frame. */
export function controlFrame(type: number, fields: readonly Value[]): Buffer {
  const size = sizeOf(fields)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + size)
  frame.writeInt32BE(1 + size, 0)
  frame[4] = type
  write(frame, HEADER_BYTES, fields)
  return frame
}

/** The first bytes of a raw frame: its header and the whole numbers; `byteLength` more follow. */
export function rawFrameHead(type: number, byteLength: number, ...numbers: readonly number[]): Buffer {
  const head = Buffer.allocUnsafe(HEADER_BYTES + 4 * numbers.length)
  head.writeInt32BE(1 + 4 * numbers.length + byteLength, 0)
  head[4] = type
  numbers.forEach((number, i) => {
    head.writeInt32BE(number, HEADER_BYTES + 4 * i)
  })
  return head
}

/** The fields of a control frame's body. */
export function decodeValues(body: Buffer): Value[] {
  const cursor = { at: 0 }
  return read(body, cursor) as Value[]
}

const Tag = { NULL: 0, TRUE: 1, FALSE: 2, INT: 3, LONG: 4, DOUBLE: 5, TEXT: 6, BYTES: 7, LIST: 8 } as const

function isInt(value: number): boolean {
  return (value | 0) === value && !Object.is(value, -0)
}

function sizeOf(value: Value): number {
  switch (typeof value) {
    case 'boolean':
      return 1
    case 'number':
      return isInt(value) ? 5 : 9
    case 'string':
      return 5 + Buffer.byteLength(value)
    default:
      if (value === null) return 1
      if (value instanceof Uint8Array) return 5 + value.byteLength
      return value.reduce<number>((sum, item) => sum + sizeOf(item), 5)
  }
}

function write(out: Buffer, at: number, value: Value): number {
  switch (typeof value) {
    case 'boolean':
      return out.writeUInt8(value ? Tag.TRUE : Tag.FALSE, at)
    case 'number':
      if (isInt(value)) return out.writeInt32BE(value, out.writeUInt8(Tag.INT, at))
      if (Number.isSafeInteger(value)) return out.writeBigInt64BE(BigInt(value), out.writeUInt8(Tag.LONG, at))
      return out.writeDoubleBE(value, out.writeUInt8(Tag.DOUBLE, at))
    case 'string': {
      const length = out.write(value, at + 5)
      out.writeInt32BE(length, out.writeUInt8(Tag.TEXT, at))
      return at + 5 + length
    }
    default: {
      if (value === null) return out.writeUInt8(Tag.NULL, at)
      if (value instanceof Uint8Array) {
        out.writeInt32BE(value.byteLength, out.writeUInt8(Tag.BYTES, at))
        out.set(value, at + 5)
        return at + 5 + value.byteLength
      }
      let next = out.writeInt32BE(value.length, out.writeUInt8(Tag.LIST, at))
      for (const item of value) next = write(out, next, item)
      return next
    }
  }
}

function read(body: Buffer, cursor: { at: number }): Value {
  const tag = body.readUInt8(cursor.at++)
  switch (tag) {
    case Tag.NULL:
      return null
    case Tag.TRUE:
      return true
    case Tag.FALSE:
      return false
    case Tag.INT:
      cursor.at += 4
      return body.readInt32BE(cursor.at - 4)
    case Tag.LONG:
      cursor.at += 8
      return Number(body.readBigInt64BE(cursor.at - 8))
    case Tag.DOUBLE:
      cursor.at += 8
      return body.readDoubleBE(cursor.at - 8)
    case Tag.TEXT:
    case Tag.BYTES: {
      const start = cursor.at + 4
      cursor.at = start + body.readInt32BE(cursor.at)
      if (cursor.at > body.length) break
      return tag === Tag.TEXT ? body.toString('utf8', start, cursor.at) : body.subarray(start, cursor.at)
    }
    case Tag.LIST: {
      const length = body.readInt32BE(cursor.at)
      cursor.at += 4
      const items: Value[] = []
      for (let i = 0; i < length; i++) items.push(read(body, cursor))
      return items
    }
  }
  throw new MillraceError('BRIDGE_PROTOCOL_ERROR', `Tag ${tag} is not a value of this protocol.`)
}
