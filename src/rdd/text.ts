/** A record as a line of text, for `print` and for text files. */

/** Text as it is, numbers and the like as JavaScript prints them, pairs and arrays as `(a,b)` and `[a,b]`, objects as JSON. */
export function toText(record: unknown): string {
  if (typeof record === 'string') return record
  if (typeof record !== 'object' || record === null) return String(record)
  if (Array.isArray(record))
    return record.length === 2 ? `(${record.map(toText).join(',')})` : `[${record.map(toText).join(',')}]`
  if (record instanceof Date) return record.toISOString()
  if (record instanceof Error) return String(record)
  if (record instanceof Map) return `Map(${[...record].map(([k, v]) => `${toText(k)} -> ${toText(v)}`).join(', ')})`
  if (record instanceof Set) return `Set(${[...record].map(toText).join(', ')})`
  if (record instanceof Uint8Array)
    return `<${Buffer.from(record.buffer, record.byteOffset, record.byteLength).toString('hex')}>`
  try {
    return JSON.stringify(record, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  } catch {
    return String(record)
  }
}
