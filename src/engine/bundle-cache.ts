/** Where compiled jobs are kept: the first of a few places that can be written. */
import { accessSync, constants, existsSync, lstatSync, mkdirSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { MillraceError, toError } from '../errors.js'
import { contentHash } from './content-files.js'

/**
 * The directory for the bundles of the job at `source`, made when it is not there: in `node_modules/.cache` of the job's own
 * package, else in the user's cache directory, else, as in a container that may write nothing but /tmp, among temporary files.
 * `copy` is what differs between two copies of Millrace. Throws `JOB_MODULE_COMPILE_FAILED` when there is no such place.
 */
export function bundleCache(source: string, copy: string): string {
  const mark = shortHash(copy)
  const ofJob = `${mark}-${shortHash(dirname(source))}`
  const home = packageOf(source)
  const user = process.getuid?.() ?? 'user'
  const places: (readonly [directory: string, isShared: boolean])[] = [
    ...(home === null ? [] : [[join(home, 'node_modules', '.cache', 'millrace', mark), false] as const]),
    [join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'millrace', ofJob), false],
    [join(tmpdir(), `millrace-${user}`, ofJob), true],
  ]
  const refusals: string[] = []
  for (const [directory, isShared] of places) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      if (isShared) assertPrivate(dirname(directory))
      accessSync(directory, constants.W_OK)
      return directory
    } catch (error) {
      refusals.push(toError(error).message)
    }
  }
  throw new MillraceError(
    'JOB_MODULE_COMPILE_FAILED',
    `There is no place to keep the compiled form of ${source}: ${refusals.join('; ')}. Set XDG_CACHE_HOME to a directory that can be written.`,
    { details: { path: source } },
  )
}

/** The nearest directory above with a package.json, or null. */
function packageOf(source: string): string | null {
  for (let directory = dirname(source); ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory
    if (dirname(directory) === directory) return null
  }
}

/** Among temporary files everybody may make directories, also one by our name, and what lies in it is run. */
function assertPrivate(directory: string): void {
  const { uid, mode } = lstatSync(directory)
  if ((mode & 0o77) === 0 && (process.getuid === undefined || uid === process.getuid())) return
  throw new Error(`${directory} can be written by others`)
}

function shortHash(text: string): string {
  return contentHash(text).slice(0, 8)
}
