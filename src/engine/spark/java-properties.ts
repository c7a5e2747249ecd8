/** Files of settings as Java reads them. */

/** The text of a file that java.util.Properties reads. */
export function javaProperties(entries: Readonly<Record<string, string>>): string {
  const escaped = (text: string): string =>
    text
      .replace(/[\\=:#! ]/g, '\\$&')
      .replace(/\n/g, '\\n')
      .replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return Object.entries(entries)
    .map(([key, value]) => `${escaped(key)}=${escaped(value)}\n`)
    .join('')
}
