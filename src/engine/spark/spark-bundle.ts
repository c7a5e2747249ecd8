/** Makes one file of a job, Millrace and their packages: all that Node needs on a machine where nothing else is installed. */
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { serialize } from 'node:v8'
import type { Plugin } from 'esbuild'
import { MillraceError } from '../../errors.js'
import { contentHash } from '../content-files.js'
import { onNativePackage } from '../native-code.js'
import type { GraphSource } from '../recording-engine.js'

/** The code of a bundle, its source map inside, and the hash of it. */
export interface SparkBundle {
  readonly code: string
  readonly hash: string
}

/** Where a Node process of Spark's begins, above this layer: found by address. */
const entry = fileURLToPath(new URL('../../spark-worker.js', import.meta.url))

/**
 * The file for Spark's executors of a job whose graph `source` gives; the same source gives the same bytes. An error on an executor
 * names the user's line, as the source map is inside.
 *
 * Throws `JOB_MODULE_COMPILE_FAILED` when it cannot be made.
 */
export async function bundleForSpark(source: GraphSource): Promise<SparkBundle> {
  const { build } = await import('esbuild')
  const path = fileURLToPath(source.job ?? source.module)
  const directory = dirname(path)
  const result = await build({
    stdin: { contents: contentsOf(source), resolveDir: dirname(entry), sourcefile: 'millrace-worker.js' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'external',
    sourcesContent: false,
    keepNames: true,
    logLevel: 'silent',
    outfile: resolve(directory, 'worker.mjs'),
    external: ['esbuild'],
    banner: {
      js: "import { createRequire as __millraceRequire } from 'node:module';const require = __millraceRequire(import.meta.url);",
    },
    plugins: [runningCopy, nativePackages],
  }).catch((cause: unknown) => {
    throw new MillraceError(
      'JOB_MODULE_COMPILE_FAILED',
      `${path} cannot be bundled for Spark: ${(cause as Error).message}`,
      { cause, details: { path } },
    )
  })
  const output = (suffix: string): string => result.outputFiles.find(({ path }) => path.endsWith(suffix))!.text
  const code = `${output('.mjs')}${inlineMap(output('.map'), directory)}`
  return { code, hash: contentHash(code) }
}

function contentsOf({ module, args, job }: GraphSource): string {
  const at = (address: string): string => JSON.stringify(fileURLToPath(address))
  const work = `import { workForSpark } from ${JSON.stringify(entry)}\n`
  if (job !== undefined) {
    const graph = `graphOf(job, options, ${at(job)})`
    return `${work}import job from ${at(job)}\nimport { graphOf } from ${at(module)}\nawait workForSpark((options) => ${graph}, job)\n`
  }
  const bytes = JSON.stringify(serialize(args).toString('base64'))
  const load = `loadGraph(deserialize(Buffer.from(${bytes}, 'base64')), options)`
  return `${work}import { deserialize } from 'node:v8'\nimport { loadGraph } from ${at(module)}\nawait workForSpark((options) => ${load})\n`
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

const native = 'native package'

/** Packages with native code stay outside: a worker looks for its own, and says what is missing. */
const nativePackages: Plugin = {
  name: native,
  setup(build) {
    onNativePackage(build, (path) => ({ path, namespace: native }))
    const loader = fileURLToPath(new URL('./native-package.js', import.meta.url))
    build.onLoad({ filter: /^/, namespace: native }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(loader)}).nativePackage(${JSON.stringify(path)})`,
      resolveDir: dirname(loader),
    }))
  },
}
