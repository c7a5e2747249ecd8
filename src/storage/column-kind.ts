/** Which form the record serializer writes a column of values in. */

/** How the values of a column are written. The numbers are part of the format. */
export const Column = {
  empty: 0,
  mixed: 1,
  int8: 2,
  int16: 3,
  int32: 4,
  float64: 5,
  texts: 6,
  pairs: 7,
  objects: 8,
  buffers: 9,
  constant: 10,
} as const

/** The most compact kind that fits every value. */
export function columnOf(values: readonly unknown[]): number {
  if (values.length === 0) return Column.empty
  const first = values[0]
  switch (typeof first) {
    case 'number':
      return numberColumn(values)
    case 'string':
      return areTexts(values) ? Column.texts : Column.mixed
    case 'boolean':
    case 'undefined':
      return values.length > 1 && areThe(first, values) ? Column.constant : Column.mixed
    case 'object':
      if (first === null) return values.length > 1 && areThe(null, values) ? Column.constant : Column.mixed
      if (Array.isArray(first)) return values.length > 1 && arePairs(values) ? Column.pairs : Column.mixed
      if (Buffer.isBuffer(first)) return areBuffers(values) ? Column.buffers : Column.mixed
      return values.length > 1 && isPlain(first) && areAlike(values) ? Column.objects : Column.mixed
    default:
      return Column.mixed
  }
}

// A loop for each test: one that calls whatever test it is given takes three times as long. Holes of a sparse array count as undefined.

function areTexts(values: readonly unknown[]): boolean {
  for (let i = 0; i < values.length; i++) if (typeof values[i] !== 'string') return false
  return true
}

function arePairs(values: readonly unknown[]): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!Array.isArray(value) || value.length !== 2) return false
  }
  return true
}

function areBuffers(values: readonly unknown[]): boolean {
  for (let i = 0; i < values.length; i++) if (!Buffer.isBuffer(values[i])) return false
  return true
}

function areThe(only: unknown, values: readonly unknown[]): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] !== only) return false
  return true
}

function areNumbers(values: readonly unknown[]): boolean {
  for (let i = 0; i < values.length; i++) if (typeof values[i] !== 'number') return false
  return true
}

function numberColumn(values: readonly unknown[]): number {
  let min = 0
  let max = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (typeof value !== 'number') return Column.mixed
    const integer = value | 0
    // There is no -0 among integers.
    if (integer !== value || (integer === 0 && 1 / value < 0)) return areNumbers(values) ? Column.float64 : Column.mixed
    if (integer < min) min = integer
    if (integer > max) max = integer
  }
  if (min >= -0x80 && max < 0x80) return Column.int8
  return min >= -0x8000 && max < 0x8000 ? Column.int16 : Column.int32
}

/** True for what `{}` and `Object.create(null)` make: an object without a class. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** True if all are plain objects with the same fields in the same order. */
function areAlike(values: readonly unknown[]): boolean {
  const names = Object.keys(values[0] as object)
  if (names.length === 0) return false
  for (const value of values) {
    if (typeof value !== 'object' || value === null || !isPlain(value)) return false
    const others = Object.keys(value)
    if (others.length !== names.length) return false
    for (let i = 0; i < names.length; i++) if (others[i] !== names[i]) return false
  }
  return true
}
