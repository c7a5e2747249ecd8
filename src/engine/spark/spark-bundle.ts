/** Makes one file of a job, Millrace and their packages: all that Node needs on a machine where nothing else is installed. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Plugin } from 'esbuild'
import { MillraceError } from '../../errors.js'
import type { JobBundle } from '../job-bundle.js'
import type { SparkBundle } from './spark-session.js'

const entry = fileURLToPath(new URL('../../spark-worker.js', import.meta.url))

/**
 * The file for Spark's executors of a bundled job, its source map inside, so that an error there names the user's line. It is
 * named by its content and kept beside the job's own bundle.
 *
 * Throws `JOB_MODULE_COMPILE_FAILED` when it cannot be made.
 */
export async function bundleForSpark(job: JobBundle): Promise<SparkBundle> {
  const { build } = await import('esbuild')
  const result = await build({
    stdin: {
      contents: `import job from ${JSON.stringify(job.file)}
import { workForSpark } from ${JSON.stringify(entry)}
await workForSpark(job)
`,
      resolveDir: dirname(entry),
      sourcefile: 'millrace-worker.js',
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'external',
    sourcesContent: false,
    keepNames: true,
    logLevel: 'silent',
    outfile: join(dirname(job.file), 'worker.mjs'),
    external: ['esbuild'],
    banner: {
      js: "import { createRequire as __millraceRequire } from 'node:module';const require = __millraceRequire(import.meta.url);",
    },
    plugins: [runningCopy],
  }).catch((cause: unknown) => {
    throw new MillraceError(
      'JOB_MODULE_COMPILE_FAILED',
      `${job.source} cannot be bundled for Spark: ${(cause as Error).message}`,
      {
        cause,
        details: { path: job.source },
      },
    )
  })
  const directory = dirname(job.file)
  const output = (suffix: string): string => result.outputFiles.find(({ path }) => path.endsWith(suffix))!.text
  const code = `${output('.mjs')}${inlineMap(output('.map'), directory)}`
  const hash = createHash('sha256').update(code).digest('hex').slice(0, 16)
  const file = join(directory, `spark-${hash}.mjs`)
  if (!existsSync(file)) {
    await mkdir(directory, { recursive: true })
    await writeFile(`${file}.${process.pid}.tmp`, code)
    await rename(`${file}.${process.pid}.tmp`, file)
  }
  return { file, hash }
}

/** The source map as a comment; its paths absolute, since a worker loads the bundle from wherever Spark put it. */
function inlineMap(text: string, directory: string): string {
  const map = JSON.parse(text) as { sources: string[] }
  map.sources = map.sources.map((source) => pathToFileURL(resolve(directory, source)).href)
  return `//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString('base64')}\n`
}

/** `millrace` is the copy that runs, put into the bundle: a worker has no other. */
const runningCopy: Plugin = {
  name: 'millrace',
  setup(build) {
    build.onResolve({ filter: /^millrace(\/testing)?$/ }, ({ path }) => ({
      path: fileURLToPath(new URL(path === 'millrace' ? '../../index.js' : '../../testing.js', import.meta.url)),
    }))
  },
}
