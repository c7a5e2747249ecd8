/** What the compiler says about common mistakes can be read by people: it names what was given and what was wanted. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Beside a package.json, so that the library is found by its name.
const workshop = `${root}/.cache/type-messages`

const mistakes: readonly (readonly [name: string, code: string, ...said: string[]])[] = [
  [
    'a pair operation on what is no pair',
    'words.reduceByKey((a, _b) => a)',
    "type 'DStream<string>' is not assignable to method's 'this' of type 'DStream<Pair<unknown, Item>>'",
    "Type 'string' is not assignable to type 'Pair<unknown, Item>'",
  ],
  [
    'a reduce of another type',
    'counts.reduceByKey((a, b) => String(a + b))',
    "Type 'string' is not assignable to type 'number'",
  ],
  [
    'a state of another type',
    "counts.updateStateByKey((_values, _total: number | null) => 'many')",
    "Type 'string' is not assignable to type 'number'",
  ],
  [
    'a spec for values of another type',
    'counts.mapWithState(StateSpec.function((_k: string, _v: string | null, s: State<number>) => s.get()))',
    "Type 'Pair<string, number>' is not assignable to type 'Pair<string, string>'",
  ],
  [
    'a join by keys of another type',
    'counts.join(words.map((word) => [word.length, word]))',
    "Type '[number, string]' is not assignable to type 'Pair<string, string>'",
  ],
  [
    'a condition nobody waits for',
    "words.filter(async (word) => word === '')",
    "Type 'Promise<boolean>' is not assignable to type 'Condition'",
  ],
]

let said: string
beforeAll(() => {
  mkdirSync(workshop, { recursive: true })
  const head = `import { type DStream, type Pair, type State, StateSpec } from 'millrace'
export declare const words: DStream<string>
export declare const counts: DStream<Pair<string, number>>
void StateSpec
export type { State }
`
  const files = mistakes.map(([, code], i) => {
    writeFileSync(`${workshop}/mistake-${i}.ts`, `${head}${code}\n`)
    return `mistake-${i}.ts`
  })
  const compilerOptions = { module: 'nodenext', target: 'es2023', strict: true, noEmit: true, types: [] }
  writeFileSync(`${workshop}/package.json`, JSON.stringify({ type: 'module' }))
  mkdirSync(`${workshop}/node_modules`, { recursive: true })
  writeFileSync(
    `${workshop}/tsconfig.json`,
    JSON.stringify({
      compilerOptions: { ...compilerOptions, paths: { millrace: [`${root}/dist/index.d.ts`] } },
      files,
    }),
  )
  const { stdout } = spawnSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', workshop], {
    encoding: 'utf8',
  })
  said = stdout
})
afterAll(() => rmSync(workshop, { recursive: true, force: true }))

test.each(mistakes)('%s', (name, _code, ...expected) => {
  const i = mistakes.findIndex(([other]) => other === name)
  const [, message = ''] = new RegExp(`mistake-${i}\\.ts\\(([^]*?)(?=\\S*mistake-\\d+\\.ts\\(|$)`).exec(said) ?? []
  for (const text of expected) expect(message).toContain(text)
})
