/** Bundling a job: what goes in, what stays outside, how the result is named, what is said of files that do not compile. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { bundleJob } from '../../dist/engine/job-bundle.js'

let home: string
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-bundle-')))
  write('package.json', '{"type":"module"}')
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

function write(path: string, text: string): string {
  const file = join(home, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

async function load(path: string): Promise<Record<string, unknown>> {
  const { file } = await bundleJob(path)
  return await import(/* @vite-ignore */ pathToFileURL(file).href)
}

describe('bundleJob', () => {
  it('puts the file and what it imports into one module', async () => {
    write('src/words.ts', 'export const words: readonly string[] = ["a", "b"]\n')
    write('src/more.json', '{"more": ["c"]}')
    const job = write(
      'src/job.ts',
      `import { words } from './words.js'
import more from './more.json' with { type: 'json' }
import { basename } from 'node:path'
export default [...words, ...more.more, basename('/x/d')]
`,
    )
    expect((await load(job)).default).toEqual(['a', 'b', 'c', 'd'])
  })

  it('names the bundle by its content', async () => {
    const job = write('job.ts', 'export default 1\n')
    const first = await bundleJob(job)
    expect(basename(first.file)).toBe(`job-${first.hash}.mjs`)
    expect(await bundleJob(job)).toEqual(first)
    write('job.ts', 'export default 2\n')
    const second = await bundleJob(job)
    expect(second.hash).not.toBe(first.hash)
    expect(existsSync(first.file)).toBe(true)
    expect((await import(/* @vite-ignore */ pathToFileURL(second.file).href)).default).toBe(2)
  })

  it('gives the same name to the same content in another directory', async () => {
    const text = 'import { x } from "./x.js"\nexport default x\n'
    write('a/package.json', '{}')
    write('b/package.json', '{}')
    for (const place of ['a', 'b']) write(`${place}/x.ts`, 'export const x = 1\n')
    const a = await bundleJob(write('a/job.ts', text))
    const b = await bundleJob(write('b/job.ts', text))
    expect(b.hash).toBe(a.hash)
    expect(b.file).not.toBe(a.file)
  })

  it('keeps the bundle in the package of the job', async () => {
    const { file } = await bundleJob(write('deep/er/job.ts', 'export default 1\n'))
    expect(file.startsWith(join(home, 'node_modules', '.cache', 'millrace'))).toBe(true)
  })

  it('keeps it elsewhere where that cannot be written: with the user, then among temporary files that are private', async () => {
    const job = write('job.ts', 'import { defineJob } from "millrace"\nexport default typeof defineJob\n')
    const inTheWay = write('node_modules', '')
    const cache = join(home, 'cache')
    const temporary = join(home, 'tmp')
    mkdirSync(temporary)
    vi.stubEnv('TMPDIR', temporary)
    vi.stubEnv('XDG_CACHE_HOME', cache)
    expect((await bundleJob(job)).file.startsWith(join(cache, 'millrace'))).toBe(true)
    vi.stubEnv('XDG_CACHE_HOME', inTheWay)
    const { file } = await bundleJob(job)
    expect(file.startsWith(join(temporary, 'millrace-'))).toBe(true)
    expect((await load(job)).default).toBe('function')
    chmodSync(dirname(dirname(file)), 0o770)
    await expect(bundleJob(job)).rejects.toThrow(
      expect.objectContaining({
        code: 'JOB_MODULE_COMPILE_FAILED',
        message: expect.stringMatching(/no place to keep.*ENOTDIR.*can be written by others/),
      }),
    )
  })

  it('maps the bundle back to the lines of the user', async () => {
    const job = write('src/job.ts', '\n\nexport default () => { throw new Error("boom") }\n')
    const { file } = await bundleJob(job)
    const map = JSON.parse(readFileSync(`${file}.map`, 'utf8'))
    const sources = map.sources.map((source: string) => join(dirname(file), source))
    expect(sources).toContain(job)
  })

  it('bundles CommonJS packages, with the names they expect', async () => {
    write('node_modules/old/package.json', '{"name":"old","main":"main.js"}')
    write(
      'node_modules/old/main.js',
      "const path = require('path')\nexports.place = path.basename(__filename)\nexports.directory = __dirname\n",
    )
    const job = write('job.ts', "import old from 'old'\nexport default old.place\n")
    const { file } = await bundleJob(job)
    expect((await load(job)).default).toBe(basename(file))
  })

  it('lets a job declare require and __dirname itself', async () => {
    const job = write(
      'job.ts',
      `import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
const require = createRequire(import.meta.url)
const __dirname = fileURLToPath(new URL('.', import.meta.url))
export default [require('node:path').sep, typeof __dirname]
`,
    )
    expect((await load(job)).default).toEqual(['/', 'string'])
  })

  it('leaves packages with native code outside, and finds them from the bundle', async () => {
    write('node_modules/@scope/native/package.json', '{"name":"@scope/native","main":"main.js"}')
    write('node_modules/@scope/native/binding.gyp', '{}')
    write('node_modules/@scope/native/main.js', 'module.exports = __filename\n')
    const job = write('job.ts', "import native from '@scope/native'\nexport default native\n")
    const { file } = await bundleJob(job)
    expect(readFileSync(file, 'utf8')).toContain('from "@scope/native"')
    expect((await load(job)).default).toBe(join(home, 'node_modules/@scope/native/main.js'))
  })

  it('says which file is not there', async () => {
    const missing = join(home, 'none.ts')
    await expect(bundleJob(missing)).rejects.toMatchObject({
      code: 'JOB_MODULE_NOT_FOUND',
      message: expect.stringContaining(missing),
    })
    await expect(bundleJob(home)).rejects.toMatchObject({
      code: 'JOB_MODULE_NOT_FOUND',
      message: expect.stringContaining('is a directory'),
    })
  })

  it.each([
    ['a slip in the syntax', 'const a = 1\nconst b = = 2\n', ['job.ts:2:10', 'const b = = 2', 'Unexpected "="']],
    ['an import that is not there', "\nimport './nothing.js'\n", ['job.ts:2:7', './nothing.js']],
    ['a package that is not installed', "import 'left-out'\n", ['job.ts:1:7', 'left-out']],
  ])('shows the line of %s', async (_, text, shown) => {
    const job = write('job.ts', text)
    const error = await bundleJob(job).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'JOB_MODULE_COMPILE_FAILED' })
    for (const part of shown) expect((error as Error).message).toContain(part)
  })

  it('shows the line in the file that is wrong, not in the one that imports it', async () => {
    write('lib/helper.ts', 'export const x: = 1\n')
    const job = write('job.ts', "import { x } from './lib/helper.js'\nexport default x\n")
    await expect(bundleJob(job)).rejects.toMatchObject({ message: expect.stringContaining('lib/helper.ts:1:16') })
  })
})
