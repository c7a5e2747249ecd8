/** The linter refuses imports that climb, and lets those through that go down. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
let home: string
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'millrace-layers-'))
  for (const file of ['biome.json', 'biome-layers.json']) cpSync(join(root, file), join(home, file))
})
afterAll(() => rmSync(home, { recursive: true }))

/** What the linter says of a file at that place with that import. */
function lint(file: string, imported: string): string {
  const path = join(home, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `import { a } from '${imported}'\n\nexport const b: unknown = a\n`)
  const args = ['lint', '--colors=off', '--vcs-enabled=false', path]
  const { stdout, stderr } = spawnSync(join(root, 'node_modules/.bin/biome'), args, { cwd: home, encoding: 'utf8' })
  rmSync(path)
  expect(stdout + stderr).toContain('Checked 1 file')
  return stdout + stderr
}

it.each([
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
])('%s may not import %s', (file, imported) => {
  const said = lint(file, imported)
  expect(said).toContain('noRestrictedImports')
  expect(said).toMatch(
    /may import|at the bottom|never see|chooses an engine|knows an engine|may not pull in|two engines share/,
  )
})

it.each([
  ['src/mqtt/new.ts', '../receiver/receiver.js'],
  ['src/storage/new.ts', 'node:fs'],
  ['src/scheduler/new.ts', '../engine/engine.js'],
  ['src/engine/embedded/new.ts', '../engine.js'],
  ['src/engine/embedded/new.ts', '../../scheduler/job-generator.js'],
  ['src/run.ts', './engine/spark/spark-engine.js'],
  ['src/cli/new.ts', '../index.js'],
])('%s may import %s', (file, imported) => {
  expect(lint(file, imported)).not.toContain('noRestrictedImports')
})
