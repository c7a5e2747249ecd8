/** What may be a secret, by its name: never shown in an error, a log or on a page. */

const words = 'password|secret|token|credential|access\\.?key'
const named = new RegExp(words, 'i')

/** True for the name of a setting, or of a property of a record, whose value may be a secret. */
export function isSecretName(name: string): boolean {
  return named.test(name)
}

const inJson = new RegExp(`("[^"]*(?:${words})[^"]*"\\s*:\\s*)(?:"(?:[^"\\\\]|\\\\.)*"?|[^\\s,{}[\\]"]+)`, 'gi')

/** A text, with the values of such names hidden where it is JSON or holds some. */
export function withoutSecrets(text: string): string {
  return text.replace(inJson, '$1"(hidden)"')
}
