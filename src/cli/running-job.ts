/** A job that runs under the command line: what its options are, how signals stop it, when it ends. */
import { argumentsLayer, setCommandLine } from '../conf-sources.js'
import { ShutdownHook } from '../shutdown-hook.js'
import { StreamingContext } from '../streaming-context.js'
import type { CommandOption, Given } from './command.js'
import { StatusLine } from './status-line.js'

/** The options of every verb that runs a job. */
export const runOptions: Readonly<Record<'master' | 'conf' | 'checkpoint' | 'batches' | 'status', CommandOption>> = {
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

/** Puts `--master`, `--conf` and the options that stand for a key where every context of this process finds them; `defaults` are weaker. Throws what `Conf` throws. */
export function takeSettings(given: Given, defaults: Readonly<Record<string, unknown>> = {}): void {
  const { source, values } = argumentsLayer(given.texts('conf'))
  setCommandLine({
    source,
    values: {
      ...defaults,
      ...values,
      'spark.master': given.text('master') ?? values['spark.master'],
      'spark.streaming.checkpoint.directory':
        given.text('checkpoint') ?? values['spark.streaming.checkpoint.directory'],
      'millrace.batches': given.count('batches') ?? values['millrace.batches'],
    },
  })
}

export interface SuperviseOptions {
  /** Counts the records read out of messages so far, where that is known. */
  readonly decoded?: () => number
  /** Show the status also where no terminal is. */
  readonly alwaysStatus?: boolean
}

/**
 * Runs `start`, which starts a context and gives it, until the context has stopped; rejects with the error that
 * stopped it. SIGINT and SIGTERM stop the context, with every batch that was begun finished; a second one ends the process.
 */
export async function superviseJob(
  given: Given,
  start: () => Promise<StreamingContext>,
  options: SuperviseOptions = {},
): Promise<void> {
  const isAsked = given.flag('status') || options.alwaysStatus === true
  const status = isAsked || StatusLine.isWanted ? new StatusLine(options) : null
  const hook = new ShutdownHook({
    stop: () => {
      const ssc = StreamingContext.getActive()
      return ssc?.stop({ graceful: ssc.conf.get('spark.streaming.stopGracefullyOnShutdown') }) ?? null
    },
    end: (signal) => process.exit(signal === 'SIGINT' ? 130 : 143),
    onSlow: () => console.error('millrace: stopping once what was begun is finished; again, to end at once'),
  })
  hook.install()
  status?.start()
  try {
    const ssc = await start()
    await ssc.awaitTermination()
  } finally {
    status?.stop()
    hook.remove()
  }
}
