/** Packages a user installs only for the format they decode. */
import { createRequire } from 'node:module'
import { MillraceError } from '../errors.js'

const require = createRequire(import.meta.url)

/** The package, loaded. Throws `UNSUPPORTED` with what to do when it is not installed. */
export function optionalPackage<T>(name: string, user: string): T {
  try {
    return require(name) as T
  } catch (error) {
    throw new MillraceError('UNSUPPORTED', `${user} needs the package ${name}. Install it with npm install ${name}.`, {
      cause: error,
    })
  }
}
