/** What a test expects of an error. */
import { type ErrorCode, MillraceError } from 'millrace'

/** True for a MillraceError of that code, whose text matches. For `toSatisfy`. */
export function millraceError(code: ErrorCode, text?: RegExp): (error: unknown) => boolean {
  return (error) => MillraceError.is(error, code) && (text === undefined || text.test(error.message))
}
