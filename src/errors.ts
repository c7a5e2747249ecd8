/** Every error Millrace raises: one class, one list of stable codes, and the way errors cross a thread, a process or a file. */
import { inspect } from 'node:util'

/**
 * What went wrong, as a word a program can rely on. The text of an error may change between releases; its code does not.
 * `docs/errors.md` says for each code when it appears and what to do.
 */
export type ErrorCode =
  | 'ILLEGAL_ARGUMENT'
  | 'ILLEGAL_STATE'
  | 'UNSUPPORTED'
  | 'INVALID_DURATION'
  | 'INVALID_CONF'
  | 'UNKNOWN_CONF_KEY'
  | 'NO_OUTPUT_OPERATION'
  | 'CONTEXT_ALREADY_ACTIVE'
  | 'CONTEXT_STOPPED'
  | 'CONTEXT_STARTED'
  | 'MASTER_NEEDS_JOB_MODULE'
  | 'UNKNOWN_MASTER'
  | 'JOB_MODULE_NOT_FOUND'
  | 'JOB_MODULE_INVALID'
  | 'JOB_MODULE_FAILED'
  | 'JOB_MODULE_COMPILE_FAILED'
  | 'NATIVE_PACKAGE_NOT_FOUND'
  | 'GRAPH_MISMATCH'
  | 'FUNCTION_NOT_FOUND'
  | 'EMPTY_COLLECTION'
  | 'JOB_CANCELLED'
  | 'TASK_FAILED'
  | 'TASK_TIMEOUT'
  | 'EXECUTOR_LOST'
  | 'BATCH_FAILED'
  | 'BATCH_NOT_RETAINED'
  | 'NOT_SERIALIZABLE'
  | 'BLOCK_NOT_FOUND'
  | 'BLOCK_NOT_STORED'
  | 'RECEIVER_NOT_ATTACHED'
  | 'RECEIVER_FAILED'
  | 'MQTT_INVALID_URL'
  | 'MQTT_INVALID_TOPIC_FILTER'
  | 'MQTT_INVALID_OPTION'
  | 'MQTT_CLIENT_ID_REQUIRED'
  | 'MQTT_UNREACHABLE'
  | 'MQTT_REFUSED'
  | 'MQTT_SUBSCRIBE_REFUSED'
  | 'MQTT_QOS_LOWERED'
  | 'MQTT_SESSION_TAKEN_OVER'
  | 'MQTT_SESSION_LOST'
  | 'MQTT_DUPLICATES_POSSIBLE'
  | 'MQTT_WINDOW_LIMITED'
  | 'MQTT_NOT_READ'
  | 'MQTT_PROTOCOL_ERROR'
  | 'MQTT_DECODE_FAILED'
  | 'MQTT_PUBLISH_FAILED'
  | 'CHECKPOINT_DIRECTORY_REQUIRED'
  | 'CHECKPOINT_UNAVAILABLE'
  | 'CHECKPOINT_INVALID'
  | 'CHECKPOINT_MISMATCH'
  | 'CHECKPOINT_VERSION'
  | 'DIRECTORY_IN_USE'
  | 'LOG_CORRUPT'
  | 'LOG_VERSION'
  | 'LOG_WRITE_FAILED'
  | 'OUTPUT_EXISTS'
  | 'FILE_NOT_FOUND'
  | 'JAVA_NOT_FOUND'
  | 'SPARK_NOT_FOUND'
  | 'NODE_NOT_FOUND'
  | 'SPARK_FAILED'
  | 'BRIDGE_PROTOCOL_ERROR'
  | 'INTERNAL'

/**
 * The error class of Millrace. `code` is stable; `message` says what was wrong, what was expected and what to do; `cause` keeps the error beneath.
 *
 * ```ts
 * import { MillraceError, StreamingContext } from 'millrace'
 * try {
 *   new StreamingContext({ appName: 'x', batchInterval: 'soon' })
 * } catch (error) {
 *   if (error instanceof MillraceError && error.code === 'INVALID_DURATION') console.log('not a duration')
 * }
 * ```
 */
export class MillraceError extends Error {
  readonly code: ErrorCode
  /** Facts about the failure (batch, partition, operator, topic …), plain data, free of secrets. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MillraceError'
    this.code = code
    this.details = options.details ?? {}
  }

  /** True for a MillraceError of any copy of this library, and optionally only for one code. */
  static is(error: unknown, code?: ErrorCode): error is MillraceError {
    return (
      error instanceof Error &&
      error.name === 'MillraceError' &&
      (code === undefined || (error as MillraceError).code === code)
    )
  }
}

/** An error as plain data: what survives a thread, a process or a file. Node's structured clone drops `code`, `details` and the class. */
export interface ErrorData {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  readonly code: string | null
  readonly details: Readonly<Record<string, unknown>> | null
  readonly cause: ErrorData | null
}

/** How far down a chain of causes is looked: users' errors may name themselves as their cause. */
const CAUSES_MAX = 16

/** The error, its cause, the cause of that and so on: those that are errors, sixteen at most. */
export function* causesOf(thrown: unknown): Generator<Error> {
  let error = thrown
  for (let depth = 0; depth < CAUSES_MAX && error instanceof Error; depth++) {
    yield error
    error = error.cause
  }
}

/** Turns anything thrown into plain data, with sixteen causes at most. */
export function errorToData(thrown: unknown): ErrorData {
  return dataOf(thrown, CAUSES_MAX)
}

function dataOf(thrown: unknown, causesMax: number): ErrorData {
  const error = toError(thrown)
  const { code, details, cause } = error as { code?: unknown; details?: unknown; cause?: unknown }
  return {
    name: error.name,
    message: error.message,
    stack: error.stack ?? null,
    code: typeof code === 'string' ? code : null,
    details: error instanceof MillraceError ? (details as Record<string, unknown>) : null,
    cause: cause === undefined || cause === null || causesMax === 1 ? null : dataOf(cause, causesMax - 1),
  }
}

/** The error again: a MillraceError when it was one, otherwise an Error with the same name, message, stack, code and cause. */
export function errorFromData(data: ErrorData): Error {
  const cause = data.cause === null ? undefined : errorFromData(data.cause)
  const error =
    data.name === 'MillraceError'
      ? new MillraceError(data.code as ErrorCode, data.message, { cause, details: { ...data.details } })
      : Object.assign(new Error(data.message, cause === undefined ? undefined : { cause }), { name: data.name })
  if (data.code !== null && !(error instanceof MillraceError)) Object.assign(error, { code: data.code })
  if (data.stack !== null) error.stack = data.stack
  return error
}

/** The thrown value as an Error: user code may throw anything. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  const text = typeof thrown === 'object' ? inspect(thrown, { breakLength: Infinity }) : String(thrown)
  return new Error(`Thrown value that is not an Error: ${text}`)
}

/** Ends a `switch` over a union: the compiler proves it is never reached. */
export function assertNever(value: never): never {
  throw new MillraceError('INTERNAL', `Unexpected value ${JSON.stringify(value)}`)
}
