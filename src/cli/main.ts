#!/usr/bin/env node
/** The command `millrace`: finds the verb, hands it its arguments, turns what is thrown into words and a status. */
import { readFileSync } from 'node:fs'
import { explain } from '../error-text.js'
import { MillraceError } from '../errors.js'
import { type Command, helpOf, readArguments, table, UsageError } from './command.js'

const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.js')).run,
  demo: async () => (await import('./demo.js')).demo,
  replay: async () => (await import('./replay.js')).replay,
  graph: async () => (await import('./graph.js')).graph,
  lint: async () => (await import('./lint.js')).lint,
  submit: async () => (await import('./submit.js')).submit,
  doctor: async () => (await import('./doctor.js')).doctor,
}

/** Runs a command line; resolves to the exit status: 0 well, 1 failed, 2 not understood. */
async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const verb = rest[0] !== undefined && Object.hasOwn(verbs, rest[0]) ? verbs[rest[0]] : undefined
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

/** What to say when nothing is left that could go on, and the command has not ended. */
async function waitsInVain(): Promise<MillraceError> {
  const { lastContext } = await import('../process-contexts.js')
  return lastContext()?.getState() === 'INITIALIZED'
    ? new MillraceError(
        'JOB_MODULE_INVALID',
        'The script makes a StreamingContext and never starts it. Expected: await ssc.start()',
      )
    : new MillraceError('JOB_MODULE_FAILED', 'The job waits for a promise that nothing can settle any more.')
}

// The user's line may lie below many of ours.
Error.stackTraceLimit = 50
// Who reads no further, as `head` does, wants no more: end as other programs do, without a word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  console.error(`millrace: standard output cannot be written: ${error.message}`)
  process.exit(1)
})
// Node would end here with status 13 and no word.
process.once('beforeExit', async () => {
  console.error(`millrace: ${explain(await waitsInVain())}`)
  process.exit(1)
})

let status: number
try {
  status = await main(process.argv.slice(2))
} catch (error) {
  console.error(`millrace: ${error instanceof UsageError ? error.message : explain(error)}`)
  status = error instanceof UsageError ? 2 : 1
}
// Whatever a job's module left open does not keep a finished command alive.
process.exit(status)
