/** The error of a receiver on Spark: Spark keeps errors as text, and gives the driver no more than that. */
import { MillraceError } from '../../errors.js'

/**
 * The error that `text`, a stack, was written from: its name, message and stack. Null for no text. What does not look like a stack of
 * Node's, such as an exception of the JVM, is a `RECEIVER_FAILED`.
 */
export function receiverFailure(text: string): Error | null {
  if (text === '') return null
  const [, name, message] = /^(\w*Error)(?: \[\w+\])?: (.*?)(?:\n {4}at |$)/s.exec(text) ?? []
  if (name === undefined) return new MillraceError('RECEIVER_FAILED', text.split('\n', 1)[0]!, { details: { text } })
  return Object.assign(new Error(message), { name, stack: text })
}
