/** The package as npm would publish it, in the project of someone who uses it: types, imports, the command. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { printedBatches } from '../cli/cli.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const project = mkdtempSync(join(tmpdir(), 'millrace-package-'))
const installed = join(project, 'node_modules', 'millrace')

const job = `import { defineJob, Receiver, StorageLevel } from 'millrace'
import { runBatches } from 'millrace/testing'

class Once extends Receiver<string> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {
    this.store('grain')
  }
  onStop(): void {}
}

export const counts = (): Promise<((readonly [string, number])[] | null)[]> =>
  runBatches({ inputs: [[['a']]], build: ([words]) => words.map((word) => [word, 1]).reduceByKey((a, b) => a + b) })

export default defineJob({ name: 'package', batchInterval: '100ms' }, (ssc) => {
  ssc.receiverStream(new Once()).map((word) => word.length).print()
})
`

beforeAll(async () => {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], {
    cwd: root,
  })
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  mkdirSync(installed, { recursive: true })
  await run('tar', ['xzf', join(project, filename), '--strip-components=1', '-C', installed])
  // What npm would install beside it.
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  writeFileSync(join(project, 'job.ts'), job)
}, 120_000)

afterAll(() => rmSync(project, { recursive: true, force: true }))

describe('the package', () => {
  it('holds what it names, the licence and the documents', () => {
    const { exports, bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    const named = [...Object.values<Record<string, string> | string>(exports), ...Object.values<string>(bin)]
      .flatMap((target) => (typeof target === 'string' ? [target] : Object.values<string>(target)))
      .concat('LICENSE', 'README.md', 'CHANGELOG.md', 'docs/configuration.md', 'docs/errors.md')
    for (const path of named) expect(existsSync(join(installed, path)), path).toBe(true)
    expect(existsSync(join(installed, 'test'))).toBe(false)
  })

  it('brings no package that runs a script when it is installed, but for esbuild', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean; hasInstallScript?: boolean }>
    }
    const scripted = Object.entries(packages).filter(([, entry]) => entry.hasInstallScript === true && !entry.dev)
    expect(scripted.map(([path]) => path)).toEqual(['node_modules/esbuild'])
  })

  it.each(['nodenext', 'bundler'])('has types that resolve by the rules of %s, all of them checked', async (rules) => {
    const module = rules === 'bundler' ? 'esnext' : rules
    const args = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--module',
      module,
      '--moduleResolution',
      rules,
      'job.ts',
    ]
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const said = await run(process.execPath, [tsc, ...args], { cwd: project }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    )
    expect(said).toBe('')
  })

  it('runs a job of the project', async () => {
    const main = join(installed, 'dist', 'cli', 'main.js')
    const { stdout } = await run(process.execPath, [main, 'run', 'job.ts', '--batches', '3'], { cwd: project })
    expect(printedBatches(stdout).flat()).toEqual(['5'])
  })
})
