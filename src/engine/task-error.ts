/** The error of a task as its job has it. */
import { MillraceError, toError } from '../errors.js'

/** `TASK_FAILED`, naming the partition; what the operator's own error said is kept, and its cause. */
export function taskError(thrown: unknown, partition: number): MillraceError {
  const error = toError(thrown)
  const failure = MillraceError.is(error, 'TASK_FAILED') ? error : null
  return new MillraceError('TASK_FAILED', `Task of partition ${partition} failed: ${error.message}`, {
    cause: failure?.cause ?? error,
    details: { ...failure?.details, partition },
  })
}
