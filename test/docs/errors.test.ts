/** docs/errors.md says something of every code, and of no code that is not there. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

it('docs/errors.md has a row for every error code, and only for those', () => {
  const union = /export type ErrorCode =\n((?: {2}\| '[A-Z0-9_]+'\n)+)/.exec(read('src/errors.ts'))
  const codes = [...union![1]!.matchAll(/'([A-Z0-9_]+)'/g)].map((match) => match[1]!)
  const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map((match) => match[1]!)
  expect(codes.length).toBeGreaterThan(30)
  expect(rows.sort()).toEqual(codes.sort())
})
