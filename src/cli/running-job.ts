/** A job that runs under the command line: what its options are, how signals stop it, when it ends. */
import { argumentsLayer, setCommandLine } from '../conf-sources.js'
import { StreamingContext } from '../streaming-context.js'
import type { CommandOption, Given } from './command.js'
import { StatusLine } from './status-line.js'

/** A signal that comes again within this time is the same one. */
const echoMs = 500

/** The options of every verb that runs a job. */
export const runOptions: Readonly<Record<string, CommandOption>> = {
  master: {
    type: 'string',
    placeholder: 'MASTER',
    help: 'where to run: local, local[N], local[*], spark://host:port …',
  },
  conf: { type: 'string', placeholder: 'K=V', multiple: true, help: 'set a configuration key; as often as needed' },
  checkpoint: { type: 'string', placeholder: 'DIR', help: 'keep state and what was received there, and go on from it' },
  batches: { type: 'string', placeholder: 'N', help: 'end after N batches' },
  status: { type: 'boolean', help: 'show rates and delays each second, also where no terminal is' },
}

/** Puts `--master`, `--conf` and the options that stand for a key where every context of this process finds them. Throws what `Conf` throws. */
export function takeSettings(given: Given): void {
  const { source, values } = argumentsLayer(given.texts('conf'))
  setCommandLine({
    source,
    values: {
      ...values,
      'spark.master': given.text('master') ?? values['spark.master'],
      'spark.streaming.checkpoint.directory':
        given.text('checkpoint') ?? values['spark.streaming.checkpoint.directory'],
      'millrace.batches': given.count('batches') ?? values['millrace.batches'],
    },
  })
}

/**
 * Runs `start`, which starts a context and gives it, until the context has stopped; rejects with the error that
 * stopped it. SIGINT and SIGTERM stop the context, with every batch that was begun finished; a second one ends the process.
 */
export async function superviseJob(
  given: Given,
  start: () => Promise<StreamingContext>,
  options: { readonly decoded?: () => number } = {},
): Promise<void> {
  const status = given.flag('status') || StatusLine.isWanted ? new StatusLine(options) : null
  let first: { readonly signal: NodeJS.Signals; readonly time: number } | null = null
  const onSignal = (signal: NodeJS.Signals): void => {
    const time = performance.now()
    const ssc = StreamingContext.getActive()
    // npm passes on the Ctrl-C that the terminal has sent to everyone already: one key, two signals.
    if (first !== null && signal === first.signal && time - first.time < echoMs) return
    if (first !== null || ssc === null) process.exit(signal === 'SIGINT' ? 130 : 143)
    first = { signal, time }
    void ssc.stop({ graceful: ssc.conf.get('spark.streaming.stopGracefullyOnShutdown') })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  status?.start()
  try {
    const ssc = await start()
    status?.listenTo(ssc)
    await ssc.awaitTermination()
  } finally {
    status?.stop()
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}
