/** Where a Node process that Spark's Java side started begins: it builds the job's graph and becomes a task worker or a receiver. */
import { Conf } from './conf.js'
import type { Engine } from './engine/engine.js'
import { GraphFunctions, graphShape } from './engine/graph-functions.js'
import { serveTasks } from './engine/spark/executor.js'
import { JavaLink } from './engine/spark/java-link.js'
import { serveReceiver } from './engine/spark/receiver-process.js'
import { MillraceError } from './errors.js'
import { isJob } from './job.js'
import type { Receiver } from './receiver/receiver.js'
import { StreamingContext } from './streaming-context.js'

/** Builds the job's graph and does what the first argument says. The bundle that Spark ships calls it. @internal */
export async function workForSpark(job: unknown): Promise<void> {
  if (!isJob(job)) {
    throw new MillraceError('JOB_MODULE_INVALID', 'The job module has no default export made by defineJob.')
  }
  const role = process.argv[2]
  const conf = Conf.from(job.conf ?? {}, JSON.parse(process.env.MILLRACE_CONF ?? '{}'))
  let receivers: ReadonlyMap<number, Receiver<unknown>> = new Map()
  const ssc = new StreamingContext(
    { appName: job.name, batchInterval: job.batchInterval, conf },
    {
      engine: (setup) => {
        receivers = setup.receivers
        return describingEngine
      },
    },
  )
  job.build(ssc)
  const link = new JavaLink()
  if (role === 'receiver') {
    serveReceiver(link, receivers, {
      blockIntervalMs: conf.get('spark.streaming.blockInterval'),
      blockQueueSize: conf.get('spark.streaming.blockQueueSize'),
      restartDelayMs: conf.get('spark.streaming.receiverRestartDelay'),
      ratePerSecond: conf.get('spark.streaming.receiver.maxRate'),
    })
  } else {
    serveTasks(link, { shape: graphShape(ssc.graph), receivers, find: new GraphFunctions(ssc.graph).find })
  }
}

/** An engine for a graph that is only described: whatever runs, runs in the driver. */
const describingEngine: Engine = {
  clock: { now: () => Date.now(), start: describing, settled: describing, stop: describing },
  receivers: {
    start: describing,
    allocate: describing,
    hasUnallocatedBlocks: false,
    setRate: describing,
    release: describing,
    stop: describing,
  },
  // One number for all workers; a graph does not depend on it, only the driver's partitions do.
  runner: { defaultParallelism: 1, collect: describing, checkpoint: describing, unpersist: () => {} },
  close: async () => {},
}

function describing(): never {
  throw new MillraceError(
    'ILLEGAL_STATE',
    'A job module may only describe its graph; actions run when the job is started, in the driver.',
  )
}
