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

/**
 * The job among the exports of a bundle. Throws `JOB_MODULE_INVALID` when its default export was not made by `defineJob`. What the
 * user's function throws while it describes the job comes as `JOB_MODULE_FAILED`, with the place, unless it is a MillraceError.
 */
export function jobOf(module: Readonly<Record<string, unknown>>, bundle: JobBundle): Job {
  const job = module.default
  if (!isJob(job)) throw notAJob(module, bundle)
  const fail = (thrown: unknown): never => {
    throw jobFailed(bundle, thrown)
  }
  // Not async: whether there is a promise to wait for tells a batch job from one of streams.
  const build: Job['build'] = (ssc) => {
    try {
      const built: unknown = job.build(ssc)
      return built instanceof Promise ? built.catch(fail) : undefined
    } catch (thrown) {
      return fail(thrown)
    }
  }
  return { ...job, build }
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
    throw jobFailed(bundle, thrown)
  }
}

function notAJob(module: Readonly<Record<string, unknown>>, { source }: JobBundle): MillraceError {
  const found = module.default === undefined ? 'has no default export' : `exports by default ${kindOf(module.default)}`
  const named = Object.keys(module).filter((name) => isJob(module[name]))
  const hint = named.length === 0 ? '' : ` It exports by name: ${named.join(', ')}; one of them must be the default.`
  return new MillraceError(
    'JOB_MODULE_INVALID',
    `${source} ${found}. Expected: export default defineJob({ name, batchInterval }, (ssc) => { … })${hint}`,
    { details: { path: source } },
  )
}

/** What a job's own code threw. An error of ours says what is wrong by itself, and a program relies on its code. */
function jobFailed({ source }: JobBundle, thrown: unknown): Error {
  if (MillraceError.is(thrown)) return thrown
  const error = toError(thrown)
  const lines = [`${source} failed: ${error.message}`, ...userFrames(error)]
  return new MillraceError('JOB_MODULE_FAILED', lines.join('\n'), { cause: error, details: { path: source } })
}
