/** Where a Node process that Spark's Java side started begins: it builds the job's graph and becomes a task worker or a receiver. */
import { writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { Conf } from './conf.js'
import { GraphFunctions, graphShape } from './engine/graph-functions.js'
import type { LoadedGraph, LoadOptions } from './engine/recording-engine.js'
import { serveTasks } from './engine/spark/executor.js'
import { greeting, JavaLink } from './engine/spark/java-link.js'
import { missingAddon } from './engine/spark/native-package.js'
import { serveReceiver } from './engine/spark/receiver-process.js'
import { explain } from './error-text.js'
import { errorToData, MillraceError, toError } from './errors.js'
import type { Job } from './job.js'
import { driveOnSpark } from './spark-driver.js'

// Before the job's module runs: what it throws must reach the driver, and not only the log of an executor.
process.once('uncaughtException', failToLoad)

/** Builds the graph and does what the first argument says. The bundle that Spark ships calls it. @internal */
export async function workForSpark(
  load: (options: LoadOptions) => Promise<LoadedGraph>,
  job: Job | null = null,
): Promise<void> {
  if (process.argv[2] === 'driver') {
    process.off('uncaughtException', failToLoad)
    await drive(job!)
    return
  }
  const options = JSON.parse(process.env.MILLRACE_WORKER!) as LoadOptions
  const { graph, described, receivers } = await load(options)
  process.off('uncaughtException', failToLoad)
  const link = new JavaLink()
  if (process.argv[2] === 'receiver') {
    const conf = Conf.from(options.conf)
    serveReceiver(link, receivers, {
      blockIntervalMs: conf.get('spark.streaming.blockInterval'),
      blockQueueSize: conf.get('spark.streaming.blockQueueSize'),
      restartDelayMs: conf.get('spark.streaming.receiverRestartDelay'),
      ratePerSecond: conf.get('spark.streaming.receiver.maxRate'),
    })
    return
  }
  const { accumulators } = graph.context
  serveTasks(link, {
    shape: graphShape(graph, 'no texts'),
    receivers,
    accumulators,
    find: new GraphFunctions(graph, described).find,
  })
}

async function drive(job: Job): Promise<void> {
  let status = 0
  try {
    await driveOnSpark(job)
  } catch (error) {
    console.error(`millrace: ${explain(error)}`)
    status = 1
  }
  // Whatever a job's module left open does not keep a finished driver alive.
  process.exit(status)
}

/** Greets Java with the error that ends this process before its work begins. */
function failToLoad(thrown: unknown): void {
  const raw = toError(thrown)
  const error = missingAddon(raw) ?? raw
  console.error(error)
  const failure = new MillraceError(
    'JOB_MODULE_FAILED',
    `The job cannot be loaded on ${hostname()}: ${error.message}`,
    {
      cause: error,
    },
  )
  const text = error.stack ?? error.message
  writeSync(3, greeting(text, JSON.stringify(errorToData(MillraceError.is(error) ? error : failure))))
  process.exit(1)
}
