/** Errors of the user's functions, as a task reports them: by which operator, on which record. */
import { MillraceError, toError } from '../errors.js'
import { withoutSecrets } from '../secrets.js'
import { noRecord } from './reduction.js'
import { isTaskFunction, type TaskFunction } from './task-function.js'

/** Thrown by a loop of ours over records, in the place of the error that a function of the user's threw on one of them. */
export class RecordError {
  readonly error: unknown
  readonly record: unknown

  constructor(error: unknown, record: unknown) {
    this.error = error
    this.record = record
  }
}

/** `TASK_FAILED`: names the operator that was given `f`, and shows the record, shortened, unless it is `noRecord`. */
export function operatorFailure(thrown: unknown, f: TaskFunction | null, record: unknown): MillraceError {
  if (MillraceError.is(thrown, 'TASK_FAILED')) return thrown
  if (thrown instanceof RecordError) return operatorFailure(thrown.error, f, thrown.record)
  const operator = f === null ? null : operatorOf(f)
  const error = toError(thrown)
  const shown = record === noRecord ? null : preview(record)
  const where = `${operator === null ? 'An operation' : `Operator ${operator}`} failed`
  return new MillraceError('TASK_FAILED', `${where}${shown === null ? '' : ` on record ${shown}`}: ${error.message}`, {
    cause: error,
    details: { ...(operator !== null && { operator }), ...(shown !== null && { record: shown }) },
  })
}

/** True if it is, or calls, a function of the user's. */
export function isOfUser(f: TaskFunction): boolean {
  return f.type === 'user' || f.args.some((arg) => isTaskFunction(arg) && isOfUser(arg))
}

/** The operator that was given the function, or the name the function itself has; null where there is neither. */
function operatorOf(f: TaskFunction): string | null {
  if (f.type === 'user') return f.id?.replace(/\/\d+$/, '') ?? (f.call.name || null)
  const inner = f.args.find((arg): arg is TaskFunction => isTaskFunction(arg) && isOfUser(arg))
  return inner === undefined ? f.name : operatorOf(inner)
}

const previewCharacters = 200

/** A record as text for an error message, at most 200 characters; what may be a secret by its name is hidden. */
function preview(record: unknown): string {
  let text: string
  try {
    text =
      typeof record === 'string'
        ? JSON.stringify(withoutSecrets(record.slice(0, previewCharacters)))
        : withoutSecrets(JSON.stringify(record) ?? String(record))
  } catch {
    text = Object.prototype.toString.call(record)
  }
  return text.length > previewCharacters ? `${text.slice(0, previewCharacters)}…` : text
}
