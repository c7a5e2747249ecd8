/** docs/mqtt.md names every option with the default its declaration has, every code an MQTT connection reports, and nothing that is not there. */
import { readFileSync } from 'node:fs'
import * as library from 'millrace'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = read('docs/mqtt.md')

/** The rows of the table under a heading: the name in backticks, and the second column. */
function table(heading: string): [name: string, second: string][] {
  const from = page.indexOf(`${heading}\n`)
  if (from < 0) throw new Error(`no heading ${heading}`)
  const section = page.slice(from + heading.length).split(/^##+ /m)[0]!
  return [...section.matchAll(/^\| `(\w+)` \|([^|]*)\|/gm)].map(([, name, second]) => [name!, second!.trim()])
}

/** The members of an interface with the text after `@default`. */
function members(file: string, name: string): [name: string, fallback: string][] {
  const body = new RegExp(`export interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, 's').exec(read(file))![1]!
  const found = [...body.matchAll(/((?:^ {2}(?:\/\*\*| \*).*\n)*)^ {2}readonly (\w+)\??:/gm)]
  return found.map(([, comment, member]) => [member!, /@default (.*?)(?: \*\/)?$/m.exec(comment!)?.[1]?.trim() ?? ''])
}

const options = 'src/mqtt/mqtt-options.ts'
test.each([
  ['### Options of a receiver', options, 'MqttReceiverOptions'],
  ['### Options of every connection', options, 'MqttConnectionOptions'],
  ['## TLS', options, 'MqttTlsOptions'],
  ['## The sink', 'src/mqtt/mqtt-sink.ts', 'MqttSinkOptions'],
])('%s: the options are those of the declaration, with its defaults', (heading, file, name) => {
  const declared = members(file, name)
  expect(declared.length).toBeGreaterThan(5)
  expect(table(heading)).toEqual(declared)
})

test('the receivers and functions it names are public', () => {
  const named = [...page.matchAll(/`((?:Mqtt\w+Receiver|deadLetterTopic|mqttSink))\b/g)].map(([, name]) => name!)
  expect(new Set(named).size).toBeGreaterThan(5)
  for (const name of named) expect(library).toHaveProperty(name)
})

test('the codes of its last table are all that MQTT connections report, and exist', () => {
  const last = page.slice(page.indexOf('## What you see in the log when'))
  const told = [...last.matchAll(/\| `(MQTT_\w+)` \|/g)].map(([, code]) => code!)
  const codes = [...read('src/errors.ts').matchAll(/'(MQTT_\w+)'/g)].map(([, code]) => code!)
  // These are wrong arguments: thrown where they are written, before there is a log.
  const thrown = ['MQTT_INVALID_URL', 'MQTT_INVALID_TOPIC_FILTER', 'MQTT_INVALID_OPTION', 'MQTT_CLIENT_ID_REQUIRED']
  expect(told.sort()).toEqual(codes.filter((code) => !thrown.includes(code)).sort())
})

test('what it says of the status is what a status has', () => {
  const status = members('src/mqtt/mqtt-receiver-status.ts', 'MqttReceiverStatus').map(([name]) => name)
  const said = page.slice(page.indexOf('`receiver.status`'), page.indexOf('Everywhere the log'))
  const names = [...said.matchAll(/`(\w+)`/g)].map(([, name]) => name!).filter((name) => name !== 'local')
  expect(names.length).toBeGreaterThan(6)
  expect(status).toEqual(expect.arrayContaining(names))
})
