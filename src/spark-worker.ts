/** Where a Node process that Spark's Java side started begins: it builds the job's graph and becomes a task worker or a receiver. */
import { Conf } from './conf.js'
import { GraphFunctions, graphShape } from './engine/graph-functions.js'
import type { LoadedGraph, LoadOptions } from './engine/recording-engine.js'
import { serveTasks } from './engine/spark/executor.js'
import { JavaLink } from './engine/spark/java-link.js'
import { serveReceiver } from './engine/spark/receiver-process.js'

/** Builds the graph and does what the first argument says. The bundle that Spark ships calls it. @internal */
export async function workForSpark(load: (options: LoadOptions) => Promise<LoadedGraph>): Promise<void> {
  const options = JSON.parse(process.env.MILLRACE_WORKER!) as LoadOptions
  const { graph, described, receivers } = await load(options)
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
