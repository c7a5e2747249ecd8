/** Every vector is run, named by a test, or listed as one without a counterpart. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { vectors } from '../support/vectors.js'

/** Kinds of which whole files run every vector there is. */
const wholeKinds = [
  'dstream',
  'recovery',
  'stateMap',
  'mapWithStateRecord',
  'mapWithStateRdd',
  'pid',
  'rateLimiter',
  'time',
]

const here = new URL('.', import.meta.url)
const texts = [
  ...readdirSync(here),
  ...readdirSync(new URL('../dstream/', import.meta.url)).map((name) => `../dstream/${name}`),
]
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(new URL(name, here), 'utf8'))
  .join('\n')
const listed = [...readFileSync(new URL('README.md', here), 'utf8').matchAll(/`([a-z]+suite\/[\w-]*)`/g)].map(
  ([, id]) => id!,
)

test('no vector is forgotten', () => {
  const forgotten = vectors.filter(({ id, kind }) => {
    if (wholeKinds.includes(kind) || listed.some((prefix) => id.startsWith(prefix))) return false
    const [suite, name] = id.split('/') as [string, string]
    // Of a group of vectors that differ in a number or a flag the tests hold the part they share.
    return !(
      texts.includes(suite) &&
      (texts.includes(name) || texts.includes(name.replace(/-(batch|true|false).*$/, '')))
    )
  })
  expect(forgotten.map(({ id }) => id)).toEqual([])
})

test('nothing is listed that is not there, or that a test names', () => {
  for (const prefix of listed) {
    const named = vectors.filter(({ id }) => id.startsWith(prefix))
    expect(named.length, prefix).toBeGreaterThan(0)
    expect(named.filter(({ id }) => texts.includes(`'${id}`)).map(({ id }) => id)).toEqual([])
  }
})
