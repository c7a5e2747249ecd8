/** Loads a package with native code beside a Spark executor: it is not in the bundle, so the machine must have it. */
import { createRequire } from 'node:module'
import { hostname } from 'node:os'
import { MillraceError } from '../../errors.js'

/** The package of that name, by Node's rules for `require` from the bundle on. Throws `NATIVE_PACKAGE_NOT_FOUND`. */
export function nativePackage(name: string): unknown {
  try {
    return createRequire(process.argv[1]!)(name)
  } catch (cause) {
    throw notLoaded(`The package ${name}`, name, cause)
  }
}

/** The error for an addon of the job's own that was looked for beside the bundle; null for any other error. */
export function missingAddon(error: Error): MillraceError | null {
  const addon = /Cannot find module '(\.\/native\/[0-9a-f]+\.node)'/.exec(error.message)?.[1]
  return addon === undefined ? null : notLoaded('An addon of the job', addon, error)
}

function notLoaded(what: string, name: string, cause: unknown): MillraceError {
  const { message } = cause as Error
  const found = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' ? 'is not there' : `fails: ${message}`
  return new MillraceError(
    'NATIVE_PACKAGE_NOT_FOUND',
    `${what} has native code, which does not travel with the job, and on ${hostname()} it ${found}. Install it in a package on every worker, and name the directory by --conf spark.executorEnv.NODE_PATH=/path/to/node_modules.`,
    { cause, details: { package: name } },
  )
}
