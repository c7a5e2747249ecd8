/**
 * The examples of doc comments and pages are programs: each compiles, and those that need no broker run. A line such as
 * `a.b // 3` or `const x = f() // [1, 2]` promises a value, and is held to it.
 */
import { execFile } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const workshop = mkdtempSync(join(tmpdir(), 'millrace-examples-'))
// Where they run: a directory with a package.json, as examples that read a file expect.
const desk = join(workshop, 'desk')

interface Example {
  readonly place: string
  readonly name: string
  readonly code: string
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^( *\*? ?)```ts\n(.*?)^\1```/gms)].map((match, n) => {
    const prefix = match[1]!.trimEnd()
    const lines = match[2]!
      .split('\n')
      .map((line) => (line.startsWith(match[1]!) ? line.slice(match[1]!.length) : line.slice(prefix.length)))
    const place = `${file}:${text.slice(0, match.index).split('\n').length}`
    return { place, name: `${file.replaceAll(/[^a-z0-9]+/gi, '-')}-${n}`, code: lines.join('\n') }
  })
}

function filesIn(directory: string, ending: string): string[] {
  const names = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith(ending)).map((name) => join(directory, name))
}

const files = [...filesIn('src', '.ts'), ...filesIn('docs', '.md'), 'README.md']
const examples = files.flatMap(examplesOf)

beforeAll(() => {
  // The examples import `millrace` as its users do.
  mkdirSync(join(workshop, 'node_modules'))
  writeFileSync(join(workshop, 'package.json'), '{"type":"module"}')
  symlinkSync(root, join(workshop, 'node_modules', 'millrace'))
  symlinkSync(join(root, 'node_modules', '@types'), join(workshop, 'node_modules', '@types'))
  copyFileSync(join(root, 'test/types/sql-wasm.d.ts'), join(workshop, 'sql-wasm.d.ts'))
  for (const { name, code } of examples) writeFileSync(join(workshop, `${name}.ts`), `${code}\nexport {}\n`)
  const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')) as {
    compilerOptions: object
  }
  const options = {
    ...compilerOptions,
    rootDir: '/',
    noEmit: true,
    composite: false,
    declaration: false,
    isolatedDeclarations: false,
    noUnusedLocals: false,
    tsBuildInfoFile: null,
  }
  mkdirSync(desk, { recursive: true })
  writeFileSync(join(desk, 'package.json'), '{\n  "name": "example"\n}\n')
  writeFileSync(join(workshop, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['.'] }))
})

afterAll(() => rmSync(workshop, { recursive: true, force: true }))

/** The code with every promised value checked. */
function withChecks(code: string): string {
  let declared = ''
  const lines = code.split('\n').map((line) => {
    declared = /^const (\w+) =/.exec(line)?.[1] ?? declared
    const [, statement, value] = /^(.*\S) \/\/ ([-[{'"\dtfn].*)$/.exec(line) ?? []
    if (statement === undefined || value === undefined || !isValue(value)) return line
    const isExpression = !/^(const |[)}\]])/.test(statement)
    return isExpression ? `__same(${statement}, ${value})` : `${statement}\n__same(${declared}, ${value})`
  })
  return `import { deepStrictEqual as __same } from 'node:assert'\n${lines.join('\n')}`
}

function isValue(text: string): boolean {
  try {
    new Function(`return (${text})`)()
    return true
  } catch {
    return false
  }
}

describe('examples', () => {
  test('there are some', () => expect(examples.length).toBeGreaterThan(10))

  test('all compile', { timeout: 300_000 }, async () => {
    const result = await run('npx', ['tsc', '-p', workshop], { cwd: root }).catch((error: { stdout: string }) => error)
    const places = new Map(examples.map(({ name, place }) => [name, place]))
    const errors = result.stdout.replaceAll(/\S*?([\w-]+)\.ts\(/g, (_, name: string) => `${places.get(name)} (`)
    expect(errors).toBe('')
  })

  const runnable = examples.filter(({ code }) => !/mqtts?:\/\/|export default|no-run/.test(code))
  test.each(runnable.map((example) => [example.place, example] as const))(
    '%s runs and keeps its promises',
    async (_, { name, code }) => {
      const file = join(workshop, `${name}.mjs`)
      const { code: javascript } = await transform(withChecks(code), { loader: 'ts', format: 'esm', target: 'es2022' })
      writeFileSync(file, javascript)
      const output = await run(process.execPath, [file], { cwd: desk, timeout: 100_000 }).catch(
        (error: Error) => error.message,
      )
      expect(typeof output === 'string' ? output : '').toBe('')
    },
  )
})
