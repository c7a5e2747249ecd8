/** The linter refuses imports that climb, and lets those through that go down. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

type Import = readonly [file: string, imported: string]

const refused: readonly Import[] = [
  ['src/time.ts', './rdd/rdd.js'],
  ['src/rdd/new.ts', '../dstream/dstream.js'],
  ['src/rdd/new.ts', 'node:fs'],
  ['src/storage/new.ts', '../receiver/receiver.js'],
  ['src/receiver/new.ts', '../mqtt/mqtt-receiver.js'],
  ['src/mqtt/new.ts', '../dstream/dstream.js'],
  ['src/dstream/new.ts', '../scheduler/job-generator.js'],
  ['src/dstream/new.ts', 'node:worker_threads'],
  ['src/engine/new.ts', './embedded/embedded-engine.js'],
  ['src/scheduler/new.ts', '../engine/embedded/embedded-engine.js'],
  ['src/engine/embedded/new.ts', '../spark/spark-engine.js'],
  ['src/engine/spark/new.ts', '../embedded/embedded-engine.js'],
  ['src/engine/spark/new.ts', '../../run.js'],
  ['src/scheduler/new.ts', '../streaming-context.js'],
  ['src/engine/embedded/new.ts', '../../engines.js'],
  ['src/run.ts', './cli/main.js'],
  ['src/index.ts', './web/status-server.js'],
]

const allowed: readonly Import[] = [
  ['src/mqtt/new.ts', '../receiver/receiver.js'],
  ['src/storage/new.ts', 'node:fs'],
  ['src/scheduler/new.ts', '../engine/engine.js'],
  ['src/engine/embedded/new.ts', '../engine.js'],
  ['src/engine/embedded/new.ts', '../../scheduler/job-generator.js'],
  ['src/run.ts', './engine/spark/spark-engine.js'],
  ['src/cli/new.ts', '../index.js'],
]

/** A file of its own for each import, in the folder that says its layer: `src/rdd/new.ts` becomes `src/rdd/new-3.ts`. */
const probe = (file: string, index: number): string => file.replace('/new.ts', `/new-${index}.ts`)

/** What the linter says of these imports, each in a file at that place. */
function lint(imports: readonly Import[]): string[] {
  const home = mkdtempSync(join(tmpdir(), 'millrace-layers-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  for (const file of ['biome.json', 'biome-layers.json']) cpSync(join(root, file), join(home, file))
  for (const [index, [file, imported]] of imports.entries()) {
    const path = join(home, probe(file, index))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `import { a } from '${imported}'\n\nexport const b: unknown = a\n`)
  }
  const args = ['lint', '--colors=off', '--vcs-enabled=false', '--max-diagnostics=none', 'src']
  const { stdout, stderr } = spawnSync(join(root, 'node_modules/.bin/biome'), args, { cwd: home, encoding: 'utf8' })
  const output = `${stdout}\n${stderr}`
  expect(output).toContain(`Checked ${imports.length} files`)
  const texts = output.split(/^(?=src\/\S+:\d+:\d+ lint\/)/m).slice(1)
  const said = new Map(texts.map((text) => [text.slice(0, text.indexOf(':')), text]))
  return imports.map(([file], index) => said.get(probe(file, index)) ?? '')
}

it('refuses imports that climb, and says which rule they break', () => {
  for (const [index, text] of lint(refused).entries()) {
    expect(text, refused[index]!.join(' may not import ')).toContain('noRestrictedImports')
    expect(text).toMatch(
      /may import|at the bottom|never see|chooses an engine|knows an engine|may not pull in|two engines share/,
    )
  }
})

it('lets imports through that go down', () => {
  for (const [index, text] of lint(allowed).entries()) {
    expect(text, allowed[index]!.join(' may import ')).not.toContain('noRestrictedImports')
  }
})
