/** `millrace replay`: runs one batch of a job again, from its checkpoint directory. */
import { pathToFileURL } from 'node:url'
import { bundleJob, type JobBundle } from '../engine/job-bundle.js'
import { importBundle, jobOf } from '../engine/job-module.js'
import { MillraceError } from '../errors.js'
import { startInstead } from '../process-contexts.js'
import { type ReplayOptions, replayOn } from '../replay.js'
import { describe } from '../run.js'
import { type RetainedBatch, RetainedBatches } from '../scheduler/retained-batches.js'
import { type Command, type Given, table, UsageError } from './command.js'
import { runOptions, takeSettings } from './running-job.js'

const { master, conf } = runOptions

export const replay: Command = {
  name: 'replay',
  summary: 'run one batch of a job again, from its checkpoint directory',
  positionals: '[job.ts]',
  options: {
    checkpoint: { type: 'string', placeholder: 'DIR', help: 'the checkpoint directory, or a copy of it' },
    batch: {
      type: 'string',
      placeholder: 'TIME',
      help: 'the batch: the milliseconds that print shows, or a date; without it, the batches there are',
    },
    'print-only': { type: 'boolean', help: 'leave out all outputs but print' },
    master,
    conf,
  },
  notes: [
    'The batch runs with the records it had and the state before it, and prints what it printed. Other outputs run as well, for',
    'the same batch time. The directory is only read, also while the job runs. The job is the file it was started from, unless',
    'another one is given. Batches stay in the directory as long as millrace.replay.retain says.',
  ].join('\n'),
  async run(given: Given): Promise<number> {
    const directory = given.text('checkpoint')
    if (directory === null) throw new UsageError('--checkpoint DIR is missing: the directory the job ran with.')
    if (given.positionals.length > 1) throw new UsageError(`Expected one job file, not ${given.positionals.join(' ')}.`)
    const batches = await RetainedBatches.read(directory)
    const batch = given.text('batch')
    if (batch === null) {
      console.log(listOf(batches.batches))
      return 0
    }
    takeSettings(given, { 'spark.default.parallelism': batches.started.parallelism })
    const bundle = await bundleJob(given.positionals[0] ?? fileOf(batches))
    await replayJob(bundle, { batches, time: timeOf(batch), printOnly: given.flag('print-only') })
    return 0
  },
}

/** Runs the batch on the job of the bundle: the one it exports, or a script, whose context replays when it is started. */
async function replayJob(bundle: JobBundle, options: ReplayOptions): Promise<void> {
  let replayed: Promise<void> | null = null
  startInstead((ssc) => {
    replayed = replayOn(ssc, options)
    return replayed
  })
  try {
    const module = await importBundle(bundle)
    if (module.default === undefined && replayed !== null) {
      await replayed
      return
    }
    const { ssc, built } = describe(jobOf(module, bundle), { module: pathToFileURL(bundle.file) })
    await built
    await replayOn(ssc, options)
  } finally {
    startInstead(null)
  }
}

function listOf(batches: readonly RetainedBatch[]): string {
  if (batches.length === 0) return 'There is no batch in the directory.'
  const rows = batches.map(({ time, status, records }): [string, string] => [
    String(time),
    `${new Date(time).toISOString()}  ${status}, ${records} records received`,
  ])
  return table(rows)
}

function timeOf(text: string): number {
  const time = /^\d{1,16}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isNaN(time)) {
    throw new UsageError(
      `--batch ${text} is no time. Expected milliseconds such as 1700000000000, or 2023-11-14T22:13:20Z.`,
    )
  }
  return time
}

function fileOf({ started }: RetainedBatches): string {
  if (started.file !== undefined) return started.file
  throw new MillraceError(
    'JOB_MODULE_NOT_FOUND',
    `The checkpoint does not say where the job ${JSON.stringify(started.job)} is described: name its file, millrace replay --checkpoint DIR --batch TIME job.ts.`,
  )
}
