/** Every reason code of MQTT 5, and those of an MQTT 3.1.1 CONNACK, in words. */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { reasonText } from '../../src/mqtt/reason-codes.js'

type Codes = Readonly<Record<string, string>>
const tables = createRequire(import.meta.url)('mqtt-packet/constants') as Readonly<Record<string, Codes>>
/** Another implementation's words, for the packets it reads; CONNACK is not among them. */
const theirs = Object.entries(tables)
  .filter(([name]) => /^MQTT5_\w*CODES$/.test(name))
  .flatMap(([, codes]) => Object.entries(codes))

test('are all told in words: 0 to 2, 4, 16, 17, 24, 25 and 128 to 162', () => {
  const codes = [0, 1, 2, 4, 16, 17, 24, 25, ...Array.from({ length: 35 }, (_, i) => 128 + i)]
  const words = codes.map((code) => reasonText(code, 5))
  expect(new Set(words.map((text) => text.replace(/ \(.*/, ''))).size).toBe(43)
  for (const text of words) expect(text).toMatch(/^(?!Unknown)[A-Z].* \(0x[0-9a-f]{2}\)$/)
})

test('are the words others have for them', () => {
  expect(theirs.length).toBeGreaterThan(37)
  // Code 0 has several names.
  for (const [code, text] of theirs.filter(([code]) => code !== '0'))
    expect(reasonText(Number(code), 5).toLowerCase()).toContain(text.toLowerCase())
})

test('of a CONNACK of MQTT 3.1.1 are its own', () => {
  expect([1, 2, 3, 4, 5].map((code) => reasonText(code, 4))).toEqual([
    'Unacceptable protocol version (0x01)',
    'Client identifier rejected (0x02)',
    'Server unavailable (0x03)',
    'Bad user name or password (0x04)',
    'Not authorized (0x05)',
  ])
})

test('that MQTT does not have are said to be unknown, with their number', () => {
  expect(reasonText(0x7b, 5)).toBe('Unknown reason (0x7b)')
})
