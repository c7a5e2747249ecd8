/** `millrace run`: runs a job module, or a script that makes its own context, until it stops or is stopped. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bundleJob } from '../engine/job-bundle.js'
import { importBundle, jobOf } from '../engine/job-module.js'
import { lastContext, setJobFile } from '../process-contexts.js'
import { jobsDone, run as runJob } from '../run.js'
import type { StreamingContext } from '../streaming-context.js'
import type { Command, Given } from './command.js'
import { runOptions, superviseJob, takeSettings } from './running-job.js'

export const run: Command = {
  name: 'run',
  summary: 'run a job',
  positionals: '<job.ts>',
  options: runOptions,
  notes: [
    'The file is TypeScript or JavaScript that exports a job by default (defineJob), or a script that makes a',
    'StreamingContext and starts it. What has no streams and works on RDDs only ends when its actions are done. Ctrl-C stops it once the batch that runs is finished; a second Ctrl-C at once.',
  ].join('\n'),
  async run(given: Given): Promise<number> {
    const path = given.only('job file')
    takeSettings(given)
    setJobFile(resolve(path))
    const bundle = await bundleJob(path)
    await superviseJob(given, async () => {
      const module = await importBundle(bundle)
      // A script has no job to export: it has made its context by now.
      const ssc = lastContext()
      if (module.default === undefined && ssc !== null) return await ofScript(ssc)
      return await runJob(jobOf(module, bundle), { module: pathToFileURL(bundle.file) })
    })
    return 0
  },
}

/** The context of a script; done with it when the script works on RDDs only. */
async function ofScript(ssc: StreamingContext): Promise<StreamingContext> {
  if (ssc.getState() === 'INITIALIZED' && ssc.graph.nodes.length === 0) {
    await jobsDone(ssc)
    await ssc.stop()
  }
  return ssc
}
