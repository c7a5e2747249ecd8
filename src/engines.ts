/** Which engine a master means. */
import type { Conf } from './conf.js'
import { EmbeddedEngine } from './engine/embedded/embedded-engine.js'
import type { Engine, ReceiverListener } from './engine/engine.js'
import { MillraceError } from './errors.js'
import type { Receiver } from './receiver/receiver.js'
import type { Clock } from './time.js'

/** What an engine is made from. */
export interface EngineSetup {
  readonly master: string
  readonly conf: Conf
  readonly clock: Clock
  /** Filled while the graph is described; complete when the context starts. */
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly listener: ReceiverListener
  /** To be called when the engine cannot go on, for a reason no call can report. */
  readonly onFailure: (error: Error) => void
}

/** The engine for a context that a script makes itself: `local`, since no other thread or process could load its graph. */
export function scriptEngine(setup: EngineSetup): Engine {
  const { master, conf } = setup
  if (master !== 'local') throw unusableMaster(master)
  return new EmbeddedEngine({
    clock: setup.clock,
    receivers: setup.receivers,
    listener: setup.listener,
    parallelism: conf.get('spark.default.parallelism') ?? 1,
    blockIntervalMs: conf.get('spark.streaming.blockInterval'),
    blockQueueSize: conf.get('spark.streaming.blockQueueSize'),
    restartDelayMs: conf.get('spark.streaming.receiverRestartDelay'),
    memoryBytes: conf.get('millrace.receiver.memory'),
    ratePerSecond: conf.get('spark.streaming.receiver.maxRate'),
  })
}

function unusableMaster(master: string): MillraceError {
  if (/^(local\[.+\]|local-cluster\[.+\]|spark:\/\/.+|yarn|k8s:\/\/.+)$/.test(master)) {
    return new MillraceError(
      'MASTER_NEEDS_JOB_MODULE',
      `Master ${master} runs functions in other threads or processes, which load them as a module; a script's graph cannot be loaded there. Put the graph into a job module (export default defineJob({ name, batchInterval }, (ssc) => { … })) and start it with: millrace run job.ts --master ${master}`,
      { details: { master } },
    )
  }
  return new MillraceError(
    'UNKNOWN_MASTER',
    `${master} is not a master. Expected local, local[N], local[*], spark://host:port, yarn or k8s://….`,
    {
      details: { master },
    },
  )
}
