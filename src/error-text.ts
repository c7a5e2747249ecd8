/** Errors as the command line shows them. */
import { causesOf, MillraceError, toError } from './errors.js'
import { userFrames } from './user-frames.js'

/** An error as people read it: code and text, the user's lines it came from, its causes; the whole stack only where none is known. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return toError(error).message
  if (!MillraceError.is(error)) return error.stack ?? error.message
  const lines = [`${error.code}: ${error.message}`]
  const places = new Set(userFrames(error))
  for (const cause of causesOf(error.cause)) {
    const name = MillraceError.is(cause) ? cause.code : cause.name
    if (!lines.some((line) => line.includes(cause.message))) lines.push(`  caused by ${name}: ${cause.message}`)
    for (const frame of userFrames(cause)) places.add(frame)
  }
  // The text of these shows the place already.
  if (!error.code.startsWith('JOB_MODULE')) lines.push(...places)
  return lines.join('\n')
}
