/** Loads a bundled job: imports the module, checks what it exports, and tells the user's line when it throws. */
import { pathToFileURL } from 'node:url'
import { kindOf } from '../arguments.js'
import { MillraceError, toError } from '../errors.js'
import { isJob, type Job } from '../job.js'
import { userFrames } from '../user-frames.js'
import type { JobBundle } from './job-bundle.js'

/** The job a bundle exports. Throws what `importBundle` and `jobOf` throw. */
export async function loadJobModule(bundle: JobBundle): Promise<Job> {
  return jobOf(await importBundle(bundle), bundle)
}

/** The job among the exports of a bundle. Throws `JOB_MODULE_INVALID` when its default export was not made by `defineJob`. */
export function jobOf(module: Readonly<Record<string, unknown>>, bundle: JobBundle): Job {
  if (isJob(module.default)) return module.default
  const found = module.default === undefined ? 'has no default export' : `exports by default ${kindOf(module.default)}`
  throw new MillraceError(
    'JOB_MODULE_INVALID',
    `${bundle.source} ${found}. Expected: export default defineJob({ name, batchInterval }, (ssc) => { … })`,
    { details: { path: bundle.source } },
  )
}

/**
 * Runs the module of a bundle and gives its exports; the stacks of errors then show the user's files and lines, in this thread.
 * Throws `JOB_MODULE_FAILED`, with the place in the user's file, when the module throws an error that is not a MillraceError.
 */
export async function importBundle(bundle: JobBundle): Promise<Record<string, unknown>> {
  process.setSourceMapsEnabled(true)
  try {
    return await import(pathToFileURL(bundle.file).href)
  } catch (thrown) {
    // An error of ours says what is wrong by itself, and a program relies on its code.
    if (MillraceError.is(thrown)) throw thrown
    const error = toError(thrown)
    const place = userFrames(error).join('\n')
    throw new MillraceError(
      'JOB_MODULE_FAILED',
      `${bundle.source} failed: ${error.message}${place === '' ? '' : `\n${place}`}`,
      {
        cause: error,
        details: { path: bundle.source },
      },
    )
  }
}
