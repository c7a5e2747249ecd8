/** A job that runs under the command line: what its options are, how signals stop it, when it ends. */
import { argumentsLayer, setCommandLine } from '../conf-sources.js'
import { StreamingContext } from '../streaming-context.js'
import type { CommandOption, Given } from './command.js'
import { StatusLine } from './status-line.js'

/** The options of every verb that runs a job. */
export const runOptions: Readonly<Record<string, CommandOption>> = {
  master: {
    type: 'string',
    placeholder: 'MASTER',
    help: 'where to run: local, local[N], local[*], spark://host:port …',
  },
  conf: { type: 'string', placeholder: 'K=V', multiple: true, help: 'set a configuration key; as often as needed' },
  batches: { type: 'string', placeholder: 'N', help: 'end after N batches' },
  status: { type: 'boolean', help: 'show rates and delays each second, also where no terminal is' },
}

/** Puts `--master`, `--conf` and `--batches` where every context of this process finds them. Throws what `Conf` throws. */
export function takeSettings(given: Given): void {
  const { source, values } = argumentsLayer(given.texts('conf'))
  setCommandLine({
    source,
    values: {
      ...values,
      'spark.master': given.text('master') ?? values['spark.master'],
      'millrace.batches': given.count('batches') ?? values['millrace.batches'],
    },
  })
}

/**
 * Runs `start`, which starts a context or several one after another, until the last has stopped; rejects with the error that
 * stopped it. SIGINT and SIGTERM stop the context, with every batch that was begun finished; a second one ends the process.
 */
export async function superviseJob(
  given: Given,
  start: () => Promise<unknown>,
  options: { readonly decoded?: () => number } = {},
): Promise<void> {
  const status = given.flag('status') || StatusLine.isWanted ? new StatusLine(options) : null
  let signals = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    if (++signals > 1) process.exit(signal === 'SIGINT' ? 130 : 143)
    const ssc = StreamingContext.getActive()
    if (ssc === null) process.exit(signal === 'SIGINT' ? 130 : 143)
    const graceful = ssc.conf.get('spark.streaming.stopGracefullyOnShutdown')
    void ssc.stop({ graceful })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  status?.start()
  try {
    await start()
    await StreamingContext.getActive()?.awaitTermination()
  } finally {
    status?.stop()
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}
