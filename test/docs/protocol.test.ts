/** docs/protocol.md lists the frames and operations that there are. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { controlFrame } from '../../src/engine/spark/frames.js'
import { Frame, PROTOCOL_VERSION } from '../../src/engine/spark/protocol.js'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = read('docs/protocol.md')
const constants = (source: string, pattern: RegExp): [string, number][] =>
  [...source.matchAll(pattern)].map(([, name, number]): [string, number] => [name!, Number(number)])

it('numbers the frames as both sides do', () => {
  const frames = Object.entries(Frame)
  expect(
    [...page.matchAll(/^\| (\d+) +\| ([A-Z_]+) +\|/gm)].map(([, number, name]) => [name!, Number(number)]),
  ).toEqual(frames)
  const java = constants(read('bridge/src/main/java/io/millrace/bridge/Frame.java'), /int ([A-Z_]+) = (\d+);/g)
  expect(java).toEqual([['PROTOCOL_VERSION', PROTOCOL_VERSION], ...frames])
})

it('names the operations that Java has and Node calls', () => {
  const table = page.slice(page.indexOf('### Operations'), page.indexOf('### Events'))
  const named = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  const java = read('bridge/src/main/java/io/millrace/bridge/Operations.java')
  const node = read('src/engine/spark/protocol.ts')
  const operations = node.slice(node.indexOf('export type Operation'), node.indexOf('export type SparkEvent'))
  expect([...java.matchAll(/case "(\w+)"/g)].map(([, name]) => name).sort()).toEqual([...named].sort())
  expect([...operations.matchAll(/\| readonly \[\s*'(\w+)'/g)].map(([, name]) => name).sort()).toEqual(
    [...named].sort(),
  )
})

it('shows the bytes of a greeting', () => {
  const greeting = controlFrame(Frame.HELLO, [PROTOCOL_VERSION, '20.20.2'])
  const shown = page.slice(page.indexOf('An example, HELLO'), page.indexOf('## The greeting'))
  const bytes = [...shown.matchAll(/`((?:[0-9a-f]{2} ?)+)("[\d.]+")?`/g)].map(([, hex, text]) =>
    Buffer.concat([Buffer.from(hex!.replaceAll(' ', ''), 'hex'), Buffer.from((text ?? '').replaceAll('"', ''))]),
  )
  expect(Buffer.concat(bytes)).toEqual(greeting)
})
