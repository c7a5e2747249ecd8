/** README says what is so: its examples are the files it names, its links lead somewhere, its commands exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const readme = read('README.md')

describe('README', () => {
  it.each(['word-count', 'gpio-lines'])('quotes examples/%s.ts word for word', (name) => {
    expect(readme).toContain(`\`\`\`ts\n${read(`examples/${name}.ts`)}\`\`\``)
  })

  it('names every example', () => {
    for (const file of readdirSync(join(root, 'examples'))) expect(readme).toContain(`(examples/${file})`)
  })

  it('begins with the two commands, and CI runs the second', () => {
    const commands = [...readme.matchAll(/```sh\n(.*)\n```/g)].map((match) => match[1])
    expect(commands.slice(0, 2)).toEqual(['npm ci && npm start', 'npm ci && npm test'])
    const { scripts } = JSON.parse(read('package.json'))
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test', 'check']))
    expect(read('.ci/run')).toMatch(/\nnpm ci\nnpm run check\nnpm test\n$/)
  })
})

it('ARCHITECTURE names files that are there', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const named = [...read('ARCHITECTURE.md').matchAll(/`([\w./-]+\.(?:ts|json|md))`/g)].map((match) => match[1]!)
  const missing = named.filter(
    (name) => !existsSync(join(root, name)) && !sources.some((source) => `/${source}`.endsWith(`/${name}`)),
  )
  expect(named.length).toBeGreaterThan(5)
  expect(missing).toEqual([])
})

const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'benchmarks/README.md']
const docs = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'))

it.each([...pages, ...docs.map((file) => `docs/${file}`)])('the links of %s lead to files', (page) => {
  const targets = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1]!)
  const missing = targets.filter((target) => !existsSync(join(root, dirname(page), target)))
  expect(missing).toEqual([])
})
