/** Text from bytes by Node's own fast call, which its types leave out. */

interface Utf8Bytes {
  utf8Slice(start: number, end: number): string
}

/** The text of bytes[start,end); what is not UTF-8 becomes U+FFFD. `Buffer.toString` does the same, after looking at its arguments. */
export function utf8Text(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Utf8Bytes).utf8Slice(start, end)
}
