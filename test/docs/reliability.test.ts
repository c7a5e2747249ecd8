/** docs/reliability.md says what is so: settings, codes, files and the example are those there are. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { confKeys } from '../../src/conf-keys.js'
import { resolveReceiver } from '../../src/mqtt/resolved-options.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const page = read('docs/reliability.md')

it('quotes the SQL example word for word', () => {
  expect(page).toContain(`\`\`\`ts\n${read('examples/counts-into-sql.ts')}\`\`\``)
})

it('names settings that exist, with the values they take', () => {
  const named = [...page.matchAll(/`((?:millrace|spark)\.[\w.]+)(?:=([\w]+))?`/g)]
  expect(named.length).toBeGreaterThan(8)
  for (const [, key, value] of named) {
    expect(Object.keys(confKeys)).toContain(key)
    const { choices } = confKeys[key as keyof typeof confKeys] as { choices?: readonly string[] }
    if (value !== undefined && choices !== undefined) expect(choices).toContain(value)
  }
})

it('gives defaults as they are', () => {
  expect(confKeys['millrace.log.sync'].default).toBe('always')
  expect(confKeys['millrace.batch.failurePolicy'].default).toBe('stop')
  expect(confKeys['millrace.recovery.downtime'].default).toBe('one')
  expect(confKeys['millrace.replay.retain'].default).toBe(60_000)
  const receiver = resolveReceiver('mqtt://localhost', 't', { clientId: 'c' })
  expect(receiver).toMatchObject({ messageIdMemory: 100_000, sessionExpirySeconds: 86_400, durable: true, qos: 1 })
})

it('names error codes that docs/errors.md explains', () => {
  const codes = [...page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map((match) => match[1])
  expect(codes.length).toBeGreaterThan(3)
  for (const code of codes) expect(read('docs/errors.md')).toContain(`| \`${code}\` |`)
})

it('leads to files that are there', () => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]!)
  for (const link of links) expect(existsSync(join(root, 'docs', link)), link).toBe(true)
  for (const [, path] of page.matchAll(/vitest run (\S+)/g)) expect(existsSync(join(root, path!))).toBe(true)
})
