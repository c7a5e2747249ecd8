/** Which engine a master means. */
import { availableParallelism } from 'node:os'
import type { Conf } from './conf.js'
import { initialRate } from './durability.js'
import { EmbeddedEngine, type ThreadOptions } from './engine/embedded/embedded-engine.js'
import type { Engine, ReceiverListener } from './engine/engine.js'
import type { GraphSource } from './engine/recording-engine.js'
import { SparkEngine } from './engine/spark/spark-engine.js'
import { coresOf, sparkMaster } from './engine/spark/spark-master.js'
import { type AttachedDriver, SparkSession, type SparkSessionOptions } from './engine/spark/spark-session.js'
import { MillraceError } from './errors.js'
import type { AccumulatorUpdate } from './rdd/accumulator.js'
import type { Receiver } from './receiver/receiver.js'
import type { ListenerBus } from './scheduler/streaming-listener.js'
import type { Clock } from './time.js'

/** What an engine is made from. */
export interface EngineSetup {
  readonly master: string
  readonly conf: Conf
  readonly clock: Clock
  /** Filled while the graph is described; complete when the context starts. */
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly listener: ReceiverListener
  /** Where the engine tells of its stages, tasks and threads. */
  readonly bus: ListenerBus
  /** Takes what tasks elsewhere added to accumulators. */
  readonly accumulated: (updates: readonly AccumulatorUpdate[]) => void
  /** To be called when the engine cannot go on, for a reason no call can report. */
  readonly onFailure: (error: Error) => void
  /** Where workers find the graph, or null for a graph that exists in this process only. */
  readonly source: GraphSource | null
  /** The shape of the graph, once it is described; with the texts of its functions or without. */
  readonly shape: (texts?: 'texts' | 'no texts') => readonly string[]
  /** The line each operator stands in, by its id. */
  readonly places: () => ReadonlyMap<string, string>
  /** How long inputs are needed after their batch, in milliseconds; known once the graph is complete. */
  readonly inputRememberMs: () => number
  /** True if the job keeps a checkpoint; known once it starts. */
  readonly checkpoints: () => boolean
  /** The longest time between two savings of an operator's state, in milliseconds; 0 without state. */
  readonly stateIntervalMs: () => number
}

/** The engine for the master of `setup`. Throws `MASTER_NEEDS_JOB_MODULE`, `UNKNOWN_MASTER` and `INVALID_CONF`. */
export function engineFor(setup: EngineSetup, spark: SparkParts = {}): Engine {
  const onSpark = sparkMaster(setup.master, setup.conf.get('millrace.engine'))
  return onSpark === null ? embeddedEngine(setup) : sparkEngine(setup, onSpark, spark)
}

/** What differs in how Spark is reached. */
export interface SparkParts {
  /** Takes what the JVM prints. @default standard error */
  readonly onLog?: (text: string) => void
  /** The JVM that started this process; left out where this process starts one. */
  readonly attached?: AttachedDriver
}

/** The settings that change nothing on the engine these settings choose. */
export function settingsWithoutEffect(conf: Conf): string[] {
  const onSpark = sparkMaster(conf.get('spark.master'), conf.get('millrace.engine'))
  return conf.withoutEffectOn(onSpark === null ? 'embedded' : 'spark')
}

function embeddedEngine(setup: EngineSetup): Engine {
  const { master, conf } = setup
  const threads = master === 'local' ? null : threadOptions(setup)
  return new EmbeddedEngine({
    clock: setup.clock,
    receivers: setup.receivers,
    listener: setup.listener,
    parallelism: conf.get('spark.default.parallelism') ?? threads?.count ?? 1,
    blockIntervalMs: conf.get('spark.streaming.blockInterval'),
    blockQueueSize: conf.get('spark.streaming.blockQueueSize'),
    restartDelayMs: conf.get('spark.streaming.receiverRestartDelay'),
    // The bound is that of one executor.
    memoryBytes: conf.get('millrace.receiver.memory') * (threads?.count ?? 1),
    diskBytes: conf.get('millrace.receiver.disk'),
    ratePerSecond: initialRate(conf),
    storageBytes: conf.get('millrace.storage.memory'),
    shuffleBytes: conf.get('millrace.shuffle.memory'),
    stageAttemptsMax: conf.get('spark.stage.maxConsecutiveAttempts'),
    bus: setup.bus,
    accumulated: setup.accumulated,
    threads,
  })
}

function sparkEngine(setup: EngineSetup, master: string, { onLog, attached }: SparkParts): Engine {
  const { conf, source } = setup
  if (source === null && attached === undefined) throw unusableMaster(setup.master)
  const options = (): SparkSessionOptions => ({
    appName: conf.get('spark.app.name') ?? 'millrace',
    sparkMaster: master,
    checkpoints: setup.checkpoints(),
    conf,
    ...(onLog === undefined ? {} : { onLog }),
  })
  return new SparkEngine({
    ...setup,
    // The executors' bundle is made of the job and Millrace: names in it may differ from those the driver loads.
    shape: () => setup.shape('no texts'),
    expectedParallelism: conf.get('spark.default.parallelism') ?? coresOf(master, availableParallelism()),
    connect: () =>
      attached === undefined ? SparkSession.open(options(), source!) : SparkSession.attach(attached, options()),
  })
}

/** What `local[N]`, `local[*]` and `local[N,F]` ask for: N threads, a task failing F times at most. */
function threadOptions({ master, conf, source, shape }: EngineSetup): ThreadOptions {
  const match = /^local\[\s*(\*|[1-9]\d{0,3})\s*(?:,\s*([1-9]\d{0,3})\s*)?\]$/.exec(master)
  if (match === null || source === null) throw unusableMaster(master)
  return {
    count: match[1] === '*' ? availableParallelism() : Number(match[1]),
    source,
    conf: conf.toObject(),
    shape,
    maxFailures: match[2] === undefined ? conf.get('spark.task.maxFailures') : Number(match[2]),
    taskTimeoutMs: conf.get('spark.task.timeout'),
    heapBytes: conf.get('millrace.executor.memory'),
    mode: conf.get('spark.scheduler.mode') ?? 'FAIR',
    localityWaitMs: conf.has('spark.locality.wait') ? conf.get('spark.locality.wait') : null,
    speculation: conf.get('spark.speculation')
      ? {
          intervalMs: conf.get('spark.speculation.interval'),
          quantile: conf.get('spark.speculation.quantile'),
          multiplier: conf.get('spark.speculation.multiplier'),
          minTaskMs: conf.get('spark.speculation.minTaskRuntime'),
          thresholdMs: conf.get('spark.speculation.task.duration.threshold'),
        }
      : null,
  }
}

function unusableMaster(master: string): MillraceError {
  if (
    /^(local\[\s*(\*|[1-9]\d{0,3})\s*(,\s*[1-9]\d{0,3}\s*)?\]|local-cluster\[.+\]|spark:\/\/.+|yarn|k8s:\/\/.+)$/.test(
      master,
    )
  ) {
    return new MillraceError(
      'MASTER_NEEDS_JOB_MODULE',
      `Master ${master} runs functions in other threads or processes, which load them as a module; a script's graph cannot be loaded there. Put the graph into a job module (export default defineJob({ name, batchInterval }, (ssc) => { … })) and start it with: millrace run job.ts --master ${master}, or run(job, { master, module }) with the address of the module`,
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
