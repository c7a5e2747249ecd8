#!/usr/bin/env node
/** The command `millrace`: finds the verb, hands it its arguments, turns what is thrown into words and a status. */
import { readFileSync } from 'node:fs'
import { MillraceError } from '../errors.js'
import { type Command, helpOf, readArguments, table, UsageError } from './command.js'

const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  doctor: async () => (await import('./doctor.js')).doctor,
}

/** Runs a command line; resolves to the exit status: 0 well, 1 failed, 2 not understood. */
async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const verb = rest[0] === undefined ? undefined : verbs[rest[0]]
    console.log(verb === undefined ? await overview() : helpOf(await verb()))
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    console.log(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version)
    return 0
  }
  if (!Object.hasOwn(verbs, name)) {
    throw new UsageError(
      `millrace has no verb ${name}. Its verbs are ${Object.keys(verbs).join(', ')}; see millrace --help.`,
    )
  }
  const command = await verbs[name]!()
  if (rest.some((arg) => arg === '--help' || arg === '-h')) {
    console.log(helpOf(command))
    return 0
  }
  return await command.run(readArguments(command, rest))
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(verbs).map((load) => load()))
  return [
    'millrace <verb> [options]',
    '',
    'Stream processing with the model of Spark Streaming, fed by MQTT.',
    '',
    'Verbs:',
    table(commands.map(({ name, summary }): [string, string] => [name, summary])),
    '',
    'millrace <verb> --help shows the options of a verb; millrace --version the version.',
  ].join('\n')
}

/** An error as people read it: its code and text, then its causes; the stack only of errors nobody foresaw. */
function explain(error: unknown): string {
  if (error instanceof UsageError) return error.message
  if (!MillraceError.is(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const lines = [`${error.code}: ${error.message}`]
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    lines.push(`  caused by ${MillraceError.is(cause) ? cause.code : cause.name}: ${cause.message}`)
  }
  return lines.join('\n')
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(`millrace: ${explain(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
