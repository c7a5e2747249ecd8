/** A growing buffer for the record serializer, and the cursor that reads it back. Numbers are little-endian. */

export class ByteWriter {
  #bytes: Buffer
  #length = 0

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  /** What was written; valid until the next write. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  get capacity(): number {
    return this.#bytes.length
  }

  /** Begins anew. */
  clear(): void {
    this.#length = 0
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1)
    this.#bytes[this.#length++] = value
  }

  /** A whole number from 0 to 2^53, in as few bytes as it needs. */
  count(value: number): void {
    while (value >= 0x80) {
      this.byte((value % 0x80) | 0x80)
      value = Math.floor(value / 0x80)
    }
    this.byte(value)
  }

  float64(value: number): void {
    if (this.#length + 8 > this.#bytes.length) this.#grow(8)
    this.#bytes.writeDoubleLE(value, this.#length)
    this.#length += 8
  }

  /** The bytes as they are; the reader must know how many. */
  raw(bytes: Uint8Array): void {
    if (this.#length + bytes.byteLength > this.#bytes.length) this.#grow(bytes.byteLength)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.byteLength
  }

  /** Text, which may be any string of UTF-16 units, a lone surrogate included. */
  text(text: string): void {
    const utf8Bytes = Buffer.byteLength(text, 'utf8')
    const encoding = utf8Bytes === text.length ? 'latin1' : isWellFormed(text) ? 'utf8' : 'utf16le'
    const bytes = encoding === 'utf16le' ? text.length * 2 : utf8Bytes
    this.byte(encodings.indexOf(encoding))
    this.count(bytes)
    if (this.#length + bytes > this.#bytes.length) this.#grow(bytes)
    this.#bytes.write(text, this.#length, encoding)
    this.#length += bytes
  }

  #grow(more: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

/** False for a text with half of a surrogate pair, which UTF-8 cannot hold. Node 20 has `isWellFormed`, the library types of ES2023 do not. */
function isWellFormed(text: string): boolean {
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed()
}

/** Pure ASCII reads and writes fastest as latin1. */
const encodings = ['latin1', 'utf8', 'utf16le'] as const

export class ByteReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  byte(): number {
    const value = this.#bytes[this.#offset++]
    if (value === undefined) throw new RangeError('The bytes end too early.')
    return value
  }

  count(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  float64(): number {
    const value = this.#bytes.readDoubleLE(this.#offset)
    this.#offset += 8
    return value
  }

  /** The next `length` bytes, a view. */
  raw(length: number): Buffer {
    if (this.#offset + length > this.#bytes.length) throw new RangeError('The bytes end too early.')
    this.#offset += length
    return this.#bytes.subarray(this.#offset - length, this.#offset)
  }

  /** The next `length` bytes in memory of their own, aligned for any typed array. */
  copy(length: number): ArrayBuffer {
    const copy = new ArrayBuffer(length)
    new Uint8Array(copy).set(this.raw(length))
    return copy
  }

  text(): string {
    const encoding = encodings[this.byte()]
    return this.raw(this.count()).toString(encoding)
  }
}
