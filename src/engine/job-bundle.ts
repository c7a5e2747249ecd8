/**
 * Bundles a job: the user's file, and all it imports, into one ES module named by its content, which the driver and every
 * worker load. What differs from machine to machine stays outside the bundle, in a `node_modules` beside it:
 *
 *   <cache>/<copy of millrace>/word-count-3f2a….mjs      the bundle, with word-count-3f2a….mjs.map
 *   <cache>/<copy of millrace>/node_modules/millrace     the copy that runs, so a job and its engine share their classes
 *   <cache>/<copy of millrace>/node_modules/<package>    links to packages with native code, which cannot be bundled
 *   <cache>/<copy of millrace>/native/<hash>.node        native addons of the job's own, named by their content
 */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildFailure, BuildResult, Plugin } from 'esbuild'
import { MillraceError } from '../errors.js'
import { bundleCache } from './bundle-cache.js'
import { contentHash, writeWhole } from './content-files.js'
import { NativeCode } from './native-code.js'

/** A job ready to be loaded. */
export interface JobBundle {
  /** The user's file, absolute. */
  readonly source: string
  /** The bundle, absolute. */
  readonly file: string
  /** The hash of the bundle's content; the same on every machine. */
  readonly hash: string
}

/**
 * Bundles the job at `path` (TypeScript or JavaScript) and writes it, unless it is there already.
 *
 * Throws `JOB_MODULE_NOT_FOUND` when there is no such file and `JOB_MODULE_COMPILE_FAILED`, with the line, when it cannot be
 * compiled or something it imports cannot be found. Types are not checked: that is the editor's and `tsc`'s work.
 */
export async function bundleJob(path: string): Promise<JobBundle> {
  const source = resolve(path)
  if (!existsSync(source)) {
    throw new MillraceError(
      'JOB_MODULE_NOT_FOUND',
      `There is no job at ${source}. Expected a file such as word-count.ts.`,
      {
        details: { path: source },
      },
    )
  }
  if (!statSync(source).isFile()) {
    throw new MillraceError(
      'JOB_MODULE_NOT_FOUND',
      `${source} is a directory. Expected a file such as ${join(path, 'word-count.ts')}.`,
      {
        details: { path: source },
      },
    )
  }
  const directory = bundleCache(source, runningCopy)
  const native = new NativeCode()
  const result = await compile(source, directory, native)
  const code = result.outputFiles.find((output) => output.path.endsWith('.mjs'))!.contents
  const map = result.outputFiles.find((output) => output.path.endsWith('.map'))!.contents
  const hash = contentHash(code)
  const file = join(directory, `${basename(source, extname(source))}-${hash}.mjs`)
  if (!existsSync(file)) {
    writeWhole(`${file}.map`, map)
    writeWhole(file, Buffer.concat([code, Buffer.from(`//# sourceMappingURL=${basename(file)}.map\n`)]))
  }
  linkRunningCopy(directory)
  native.link(directory)
  return { source, file, hash }
}

type Compiled = BuildResult<{ write: false }>

async function compile(source: string, directory: string, native: NativeCode): Promise<Compiled> {
  const { build, formatMessages } = await import('esbuild')
  try {
    return await build({
      entryPoints: [source],
      absWorkingDir: dirname(source),
      // The map's paths are written relative to here, where the bundle will lie.
      outfile: join(directory, 'job.mjs'),
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'external',
      sourcesContent: true,
      keepNames: true,
      logLevel: 'silent',
      inject: [fileURLToPath(new URL('./job-shims.js', import.meta.url))],
      // CommonJS packages inside the bundle require Node's own modules through this.
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);",
      },
      plugins: [runningCopyPlugin, native.plugin],
    })
  } catch (cause) {
    const { errors } = cause as BuildFailure
    if (!Array.isArray(errors)) throw cause
    // Notes on how to call esbuild differently are of no use to somebody who does not call it.
    const plain = errors.map((error) => ({ ...error, notes: error.notes.filter(({ location }) => location !== null) }))
    const messages = await formatMessages(plain, { kind: 'error', color: false })
    const text = messages.map((message) => message.trim()).join('\n')
    throw new MillraceError('JOB_MODULE_COMPILE_FAILED', `${source} does not compile.\n${text}`, {
      details: {
        path: source,
        errors: errors.map(({ text, location }) => ({ text, file: location?.file, line: location?.line })),
      },
    })
  }
}

/** `millrace` is the copy that runs, whatever copy the job's own node_modules holds: an instance of another copy's class is not one of ours. */
const runningCopyPlugin: Plugin = {
  name: 'millrace',
  setup(build) {
    build.onResolve({ filter: /^millrace(\/|$)/ }, ({ path }) => ({ path, external: true }))
  },
}

/** The address of the running copy's `index.js`. */
const runningCopy = new URL('../index.js', import.meta.url).href

function linkRunningCopy(directory: string): void {
  const home = join(directory, 'node_modules', 'millrace')
  if (existsSync(join(home, 'package.json'))) return
  made(home)
  const testing = new URL('../testing.js', import.meta.url).href
  writeWhole(join(home, 'index.js'), `export * from ${JSON.stringify(runningCopy)}\n`)
  writeWhole(join(home, 'testing.js'), `export * from ${JSON.stringify(testing)}\n`)
  // Last: it says that the package is complete.
  const exports = { '.': './index.js', './testing': './testing.js' }
  writeWhole(join(home, 'package.json'), JSON.stringify({ name: 'millrace', type: 'module', exports }))
}

function made(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return directory
}
