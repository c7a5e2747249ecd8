/**
 * Bundles a job: the user's file, and all it imports, into one ES module named by its content, which the driver and every
 * worker load. What differs from machine to machine stays outside the bundle, in a `node_modules` beside it:
 *
 *   <cache>/<copy of millrace>/word-count-3f2a….mjs      the bundle, with word-count-3f2a….mjs.map
 *   <cache>/<copy of millrace>/node_modules/millrace     the copy that runs, so a job and its engine share their classes
 *   <cache>/<copy of millrace>/node_modules/<package>    links to packages with native code, which cannot be bundled
 */
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, extname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildFailure, BuildResult, Plugin } from 'esbuild'
import { MillraceError } from '../errors.js'

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
  const directory = cacheDirectory(source)
  const native = new Map<string, string>()
  const result = await compile(source, directory, native)
  const code = result.outputFiles.find((output) => output.path.endsWith('.mjs'))!.contents
  const map = result.outputFiles.find((output) => output.path.endsWith('.map'))!.contents
  const hash = createHash('sha256').update(code).digest('hex').slice(0, 16)
  const file = join(directory, `${basename(source, extname(source))}-${hash}.mjs`)
  if (!existsSync(file)) {
    writeWhole(`${file}.map`, map)
    writeWhole(file, Buffer.concat([code, Buffer.from(`//# sourceMappingURL=${basename(file)}.map\n`)]))
  }
  linkRunningCopy(directory)
  for (const [name, target] of native) linkPackage(join(directory, 'node_modules', name), target)
  return { source, file, hash }
}

type Compiled = BuildResult<{ write: false }>

async function compile(source: string, directory: string, native: Map<string, string>): Promise<Compiled> {
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
      plugins: [runningCopyPlugin, nativePackagesPlugin(native)],
    })
  } catch (cause) {
    const { errors } = cause as BuildFailure
    if (!Array.isArray(errors)) throw cause
    const messages = await formatMessages(errors, { kind: 'error', color: false })
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

/** Leaves packages with native code outside and notes where they are. */
function nativePackagesPlugin(native: Map<string, string>): Plugin {
  const resolving = Symbol()
  return {
    name: 'native packages',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
        if (pluginData === resolving || path.startsWith('node:')) return undefined
        const found = await build.resolve(path, { importer, kind, resolveDir, pluginData: resolving })
        if (found.errors.length > 0 || found.external) return undefined
        const home = packageDirectory(found.path)
        if (home === null || !hasNativeCode(home.directory)) return undefined
        native.set(home.name, home.directory)
        return { path, external: true }
      })
    },
  }
}

/** The package a file belongs to: the directory after the last `node_modules`. */
function packageDirectory(file: string): { name: string; directory: string } | null {
  const at = file.lastIndexOf(`${sep}node_modules${sep}`)
  if (at < 0) return null
  const start = at + `${sep}node_modules${sep}`.length
  const [first, second] = file.slice(start).split(sep)
  const name = first!.startsWith('@') ? `${first}/${second}` : first!
  return { name, directory: join(file.slice(0, start), name) }
}

function hasNativeCode(directory: string): boolean {
  if (existsSync(join(directory, 'binding.gyp')) || existsSync(join(directory, 'prebuilds'))) return true
  if (readdirSync(directory).some((name) => name.endsWith('.node'))) return true
  try {
    const { napi, binary, gypfile } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
    return napi !== undefined || binary !== undefined || gypfile === true
  } catch {
    return false
  }
}

/**
 * Where the bundles of this job and this copy of Millrace are kept: `node_modules/.cache/millrace` of the job's own package,
 * or the user's cache directory for a job that belongs to none.
 */
function cacheDirectory(source: string): string {
  const copy = createHash('sha256').update(runningCopy).digest('hex').slice(0, 8)
  for (let directory = dirname(source); ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) {
      return made(join(directory, 'node_modules', '.cache', 'millrace', copy))
    }
    if (dirname(directory) === directory) break
  }
  const home = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const place = createHash('sha256').update(dirname(source)).digest('hex').slice(0, 8)
  return made(join(home, 'millrace', `${copy}-${place}`))
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

function linkPackage(link: string, target: string): void {
  const present = lstatSync(link, { throwIfNoEntry: false })
  if (present?.isSymbolicLink() && readlinkSync(link) === target) return
  made(dirname(link))
  // A rename replaces an old link in one step, whatever other processes load at the moment.
  const partial = `${link}.${process.pid}.tmp`
  rmSync(partial, { force: true })
  symlinkSync(target, partial, 'junction')
  renameSync(partial, link)
}

function made(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return directory
}

/** Writes a file so that another process sees all of it or none. */
function writeWhole(file: string, content: string | Uint8Array): void {
  const partial = `${file}.${process.pid}.tmp`
  writeFileSync(partial, content)
  renameSync(partial, file)
}
