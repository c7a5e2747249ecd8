/** The configuration keys Millrace knows: Spark's own names and defaults, and a few of its own under `millrace.` */

/**
 * How the text of a value is read, and what `Conf.get` gives for it.
 *
 *   boolean   `true` or `false`
 *   count     a whole number, 0 or more
 *   number    a number, 0 or more
 *   duration  milliseconds; a bare number counts milliseconds, text may carry a unit (`200ms`, `3s`)
 *   seconds   milliseconds; a bare number counts seconds, as these keys do in Spark, text may carry a unit
 *   bytes     bytes; a bare number counts bytes, text may carry a unit (`512k`, `64m`, `2g`)
 *   text      any text
 */
export type ConfKind = 'boolean' | 'count' | 'number' | 'duration' | 'seconds' | 'bytes' | 'text'

/** What the table below says about one key. */
export interface ConfDefinition {
  readonly kind: ConfKind
  /** The value when nobody set one, in the form `Conf.get` gives; null when there is none. */
  readonly default: boolean | number | string | null
  /** The texts allowed, for a key that is a choice. */
  readonly choices?: readonly string[]
  /** Where setting it changes something; on the other engine it is accepted and a warning says so. */
  readonly on: 'both' | 'embedded' | 'spark'
  readonly doc: string
}

/** Every key with its kind, its default and its meaning. */
export const confKeys = {
  'spark.app.name': { kind: 'text', default: null, on: 'both', doc: 'the name of the job in logs and on the page' },
  'spark.master': { kind: 'text', default: 'local', on: 'both', doc: 'where the job runs' },

  'spark.streaming.backpressure.enabled': {
    kind: 'boolean',
    default: false,
    on: 'both',
    doc: 'let the rate estimator set the rate of each receiver',
  },
  'spark.streaming.backpressure.initialRate': {
    kind: 'count',
    default: null,
    on: 'both',
    doc: 'records per second a receiver may take before the first estimate; else spark.streaming.receiver.maxRate',
  },
  'spark.streaming.backpressure.rateEstimator': {
    kind: 'text',
    default: 'pid',
    choices: ['pid'],
    on: 'both',
    doc: 'the rate estimator',
  },
  'spark.streaming.backpressure.pid.proportional': { kind: 'number', default: 1, on: 'both', doc: 'P of the PID' },
  'spark.streaming.backpressure.pid.integral': { kind: 'number', default: 0.2, on: 'both', doc: 'I of the PID' },
  'spark.streaming.backpressure.pid.derived': { kind: 'number', default: 0, on: 'both', doc: 'D of the PID' },
  'spark.streaming.backpressure.pid.minRate': {
    kind: 'number',
    default: 100,
    on: 'both',
    doc: 'the lowest rate the estimator gives, records per second',
  },
  'spark.streaming.receiver.maxRate': {
    kind: 'count',
    default: null,
    on: 'both',
    doc: 'records per second one receiver may take; not set means no limit',
  },
  'spark.streaming.receiver.blockStoreTimeout': {
    kind: 'seconds',
    default: 30_000,
    on: 'both',
    doc: 'how long storing one block may take; a bare number counts seconds',
  },
  'spark.streaming.receiver.writeAheadLog.enable': {
    kind: 'boolean',
    default: false,
    on: 'both',
    doc: 'log received blocks before they are acknowledged',
  },
  'spark.streaming.receiver.writeAheadLog.class': {
    kind: 'text',
    default: null,
    on: 'spark',
    doc: 'a log of your own',
  },
  'spark.streaming.receiver.writeAheadLog.rollingIntervalSecs': {
    kind: 'seconds',
    default: 60_000,
    on: 'both',
    doc: 'how long one log file is written to; a bare number counts seconds',
  },
  'spark.streaming.receiver.writeAheadLog.maxFailures': {
    kind: 'count',
    default: 3,
    on: 'both',
    doc: 'write failures in a row before a block is refused',
  },
  'spark.streaming.receiver.writeAheadLog.closeFileAfterWrite': {
    kind: 'boolean',
    default: false,
    on: 'both',
    doc: 'a log file for each write, for file systems that cannot flush',
  },
  'spark.streaming.driver.writeAheadLog.class': { kind: 'text', default: null, on: 'spark', doc: 'a log of your own' },
  'spark.streaming.driver.writeAheadLog.rollingIntervalSecs': {
    kind: 'seconds',
    default: 60_000,
    on: 'both',
    doc: 'how long one log file of block events is written to; a bare number counts seconds',
  },
  'spark.streaming.driver.writeAheadLog.maxFailures': {
    kind: 'count',
    default: 3,
    on: 'both',
    doc: 'write failures in a row before an event is refused',
  },
  'spark.streaming.driver.writeAheadLog.closeFileAfterWrite': {
    kind: 'boolean',
    default: false,
    on: 'both',
    doc: 'a log file for each write, for file systems that cannot flush',
  },
  'spark.streaming.driver.writeAheadLog.allowBatching': {
    kind: 'boolean',
    default: true,
    on: 'both',
    doc: 'write several block events at once',
  },
  'spark.streaming.driver.writeAheadLog.batchingTimeout': {
    kind: 'duration',
    default: 5000,
    on: 'both',
    doc: 'how long such a write may take',
  },
  'spark.streaming.blockInterval': {
    kind: 'duration',
    default: 200,
    on: 'both',
    doc: 'records received within this time make one block, and so one partition',
  },
  'spark.streaming.blockQueueSize': {
    kind: 'count',
    default: 10,
    on: 'both',
    doc: 'blocks that may wait to be stored before the source is paused',
  },
  'spark.streaming.receiverRestartDelay': {
    kind: 'duration',
    default: 2000,
    on: 'both',
    doc: 'how long a receiver waits before it restarts',
  },
  'spark.streaming.unpersist': {
    kind: 'boolean',
    default: true,
    on: 'both',
    doc: 'drop RDDs and received blocks when no batch needs them any more',
  },
  'spark.streaming.stopGracefullyOnShutdown': {
    kind: 'boolean',
    default: false,
    on: 'both',
    doc: 'process what was received before the process ends on a signal',
  },
  'spark.streaming.stopSparkContextByDefault': {
    kind: 'boolean',
    default: true,
    on: 'both',
    doc: 'stop() also stops the engine',
  },
  'spark.streaming.gracefulStopTimeout': {
    kind: 'duration',
    default: null,
    on: 'both',
    doc: 'how long a graceful stop may take; not set means ten batch intervals',
  },
  'spark.streaming.concurrentJobs': {
    kind: 'count',
    default: 1,
    on: 'both',
    doc: 'jobs that may run at once; above 1 batches may overtake each other, but for the outputs of a stream with state',
  },
  'spark.streaming.ui.retainedBatches': {
    kind: 'count',
    default: 1000,
    on: 'both',
    doc: 'batches the status page remembers',
  },
  'spark.streaming.sessionByKey.deltaChainThreshold': {
    kind: 'count',
    default: 20,
    on: 'embedded',
    doc: 'how many changes the state of mapWithState chains before it is compacted',
  },
  'spark.streaming.checkpoint.directory': {
    kind: 'text',
    default: null,
    on: 'both',
    doc: 'where checkpoints are kept; as if checkpoint() had been called',
  },
  'spark.streaming.clock': { kind: 'text', default: null, on: 'spark', doc: 'the class of the batch clock, for tests' },
  'spark.streaming.manualClock.jump': { kind: 'duration', default: 0, on: 'spark', doc: 'for tests' },
  'spark.streaming.fileStream.minRememberDuration': {
    kind: 'duration',
    default: 60_000,
    on: 'both',
    doc: 'how long a file stream remembers the files it has seen',
  },
  'spark.streaming.dynamicAllocation.enabled': {
    kind: 'boolean',
    default: false,
    on: 'spark',
    doc: 'ask for executors, and return them, as the load changes',
  },
  'spark.streaming.dynamicAllocation.testing': { kind: 'boolean', default: false, on: 'spark', doc: 'for tests' },
  'spark.streaming.dynamicAllocation.minExecutors': {
    kind: 'count',
    default: null,
    on: 'spark',
    doc: 'the fewest executors; not set means one, or one for each receiver',
  },
  'spark.streaming.dynamicAllocation.maxExecutors': {
    kind: 'count',
    default: null,
    on: 'spark',
    doc: 'the most executors; not set means no limit',
  },
  'spark.streaming.dynamicAllocation.scalingInterval': {
    kind: 'seconds',
    default: 60_000,
    on: 'spark',
    doc: 'how often the number of executors is looked at; a bare number counts seconds',
  },
  'spark.streaming.dynamicAllocation.scalingUpRatio': {
    kind: 'number',
    default: 0.9,
    on: 'spark',
    doc: 'processing time over batch interval above which an executor is added',
  },
  'spark.streaming.dynamicAllocation.scalingDownRatio': {
    kind: 'number',
    default: 0.3,
    on: 'spark',
    doc: 'processing time over batch interval below which an executor is returned',
  },

  'spark.default.parallelism': {
    kind: 'count',
    default: null,
    on: 'both',
    doc: 'partitions of a shuffle when none are asked for; not set means one for each thread',
  },
  'spark.locality.wait': {
    kind: 'duration',
    default: 3000,
    on: 'both',
    doc: 'how long a task waits for the executor that holds what it reads before it runs elsewhere; not set, in threads, it waits no longer than reading the bytes elsewhere would take',
  },
  'spark.locality.wait.process': { kind: 'duration', default: null, on: 'spark', doc: 'the same, for one level' },
  'spark.locality.wait.node': { kind: 'duration', default: null, on: 'spark', doc: 'the same, for one level' },
  'spark.locality.wait.rack': { kind: 'duration', default: null, on: 'spark', doc: 'the same, for one level' },
  'spark.locality.wait.legacyResetOnTaskLaunch': { kind: 'boolean', default: false, on: 'spark', doc: 'see Spark' },
  'spark.task.maxFailures': { kind: 'count', default: 4, on: 'both', doc: 'how often one task may fail' },
  'spark.task.timeout': {
    kind: 'duration',
    default: null,
    on: 'embedded',
    doc: 'how long a task may run in a thread of local[N] before the thread is ended and the task run again; not set means no limit',
  },
  'spark.task.cpus': { kind: 'count', default: 1, on: 'spark', doc: 'cores a task takes' },
  'spark.stage.maxConsecutiveAttempts': {
    kind: 'count',
    default: 4,
    on: 'both',
    doc: 'how often one stage may be tried again after lost output',
  },
  'spark.speculation': { kind: 'boolean', default: false, on: 'both', doc: 'run slow tasks a second time elsewhere' },
  'spark.speculation.interval': { kind: 'duration', default: 100, on: 'both', doc: 'how often slow tasks are sought' },
  'spark.speculation.multiplier': { kind: 'number', default: 1.5, on: 'both', doc: 'how many medians make slow' },
  'spark.speculation.quantile': { kind: 'number', default: 0.75, on: 'both', doc: 'tasks that must be done before' },
  'spark.speculation.minTaskRuntime': { kind: 'duration', default: 100, on: 'both', doc: 'the shortest slow task' },
  'spark.speculation.task.duration.threshold': {
    kind: 'duration',
    default: null,
    on: 'both',
    doc: 'in a stage of few tasks, the time after which one is slow whatever the others take',
  },
  'spark.scheduler.mode': {
    kind: 'text',
    default: null,
    choices: ['FIFO', 'FAIR'],
    on: 'both',
    doc: 'which of the jobs that run at once gets a free thread: the first one, or the one that runs the fewest tasks; not set means FAIR in threads, so that a long job does not hold up the batches, and FIFO on Spark',
  },
  'spark.scheduler.listenerbus.eventqueue.capacity': {
    kind: 'count',
    default: 10_000,
    on: 'both',
    doc: 'events that may wait for the listeners before the oldest are dropped, with a warning',
  },
  'spark.storage.replication.policy': { kind: 'text', default: null, on: 'spark', doc: 'a class choosing the peers' },
  'spark.storage.maxReplicationFailures': { kind: 'count', default: 1, on: 'spark', doc: 'peers tried again' },
  'spark.storage.cachedPeersTtl': { kind: 'duration', default: 60_000, on: 'spark', doc: 'see Spark' },
  'spark.storage.replication.proactive': { kind: 'boolean', default: false, on: 'spark', doc: 'see Spark' },
  'spark.storage.unrollMemoryThreshold': { kind: 'bytes', default: 1_048_576, on: 'spark', doc: 'see Spark' },
  'spark.memory.fraction': { kind: 'number', default: 0.6, on: 'spark', doc: 'the part of the heap blocks may take' },
  'spark.memory.storageFraction': { kind: 'number', default: 0.5, on: 'spark', doc: 'the part of it never evicted' },
  'spark.rdd.compress': { kind: 'boolean', default: false, on: 'spark', doc: 'compress serialized partitions' },
  'spark.checkpoint.compress': { kind: 'boolean', default: false, on: 'spark', doc: 'compress RDD checkpoints' },
  'spark.cleaner.referenceTracking.cleanCheckpoints': {
    kind: 'boolean',
    default: false,
    on: 'spark',
    doc: 'see Spark',
  },
  'spark.executor.heartbeatInterval': {
    kind: 'duration',
    default: 10_000,
    on: 'spark',
    doc: 'how often executors report',
  },
  'spark.network.timeout': { kind: 'duration', default: 120_000, on: 'spark', doc: 'when a silent executor is lost' },
  'spark.broadcast.blockSize': { kind: 'bytes', default: 4_194_304, on: 'spark', doc: 'see Spark' },
  'spark.broadcast.compress': { kind: 'boolean', default: true, on: 'spark', doc: 'see Spark' },
  'spark.io.compression.codec': { kind: 'text', default: 'lz4', on: 'spark', doc: 'see Spark' },
  'spark.serializer': { kind: 'text', default: null, on: 'spark', doc: 'see Spark' },
  'spark.ui.enabled': { kind: 'boolean', default: true, on: 'both', doc: 'serve the status page' },
  'spark.ui.port': { kind: 'count', default: 4040, on: 'both', doc: 'the port of the status page, on loopback' },
  'spark.ui.retainedJobs': { kind: 'count', default: 1000, on: 'spark', doc: 'jobs the page remembers' },
  'spark.ui.retainedStages': { kind: 'count', default: 1000, on: 'spark', doc: 'stages the page remembers' },
  'spark.rdd.limit.scaleUpFactor': {
    kind: 'count',
    default: 4,
    on: 'both',
    doc: 'how many times more partitions take() tries when the first ones held too few records',
  },
  'spark.hadoop.validateOutputSpecs': {
    kind: 'boolean',
    default: true,
    on: 'both',
    doc: 'refuse to write into a directory that exists; streaming jobs may always write again',
  },

  'millrace.engine': {
    kind: 'text',
    default: null,
    choices: ['embedded', 'spark'],
    on: 'both',
    doc: 'the engine; else the master says it. `spark` with master `local[N]` is the local mode of Spark. Short: `engine`',
  },
  'millrace.batches': {
    kind: 'count',
    default: null,
    on: 'both',
    doc: 'the job stops by itself after this many batches; not set means it runs until it is stopped',
  },
  'millrace.receiver.memory': {
    kind: 'bytes',
    default: 268_435_456,
    on: 'embedded',
    doc: 'received input that may wait to be processed in one executor; at the bound sources are not read, and nothing is dropped',
  },
  'millrace.log.sync': {
    kind: 'text',
    default: 'always',
    on: 'embedded',
    doc: 'when received data is put on disk: always (before it is acknowledged), a duration (so often), or never (when the system does)',
  },
  'millrace.recovery.downtime': {
    kind: 'text',
    default: 'one',
    choices: ['one', 'each'],
    on: 'embedded',
    doc: 'after a restart, one batch takes all that waits, or each missed batch time gets its batch, as in Spark',
  },
  'millrace.node': {
    kind: 'text',
    default: 'node',
    on: 'spark',
    doc: 'the Node that runs beside the executors: a name on their PATH, or a path',
  },
  'millrace.nodeOptions': {
    kind: 'text',
    default: null,
    on: 'spark',
    doc: 'options of the Node processes beside the executors, such as --max-old-space-size=512',
  },

  'millrace.storage.memory': {
    kind: 'bytes',
    default: 1_073_741_824,
    on: 'embedded',
    doc: 'what partitions of persisted RDDs may take in memory; beyond it the one used longest ago goes to disk or is computed again',
  },
  'millrace.executor.memory': {
    kind: 'bytes',
    default: null,
    on: 'embedded',
    doc: 'the heap of each thread of local[N]; a thread that needs more is ended and replaced; not set means what Node gives',
  },
  'millrace.shuffle.memory': {
    kind: 'bytes',
    default: 536_870_912,
    on: 'embedded',
    doc: 'output of the map side of shuffles that may lie in memory; more goes to files',
  },
  'millrace.batch.failurePolicy': {
    kind: 'text',
    default: 'stop',
    choices: ['stop', 'retry', 'skip'],
    on: 'both',
    doc: 'what happens after a batch failed: the job stops, the batch is run again, or it is left out',
  },
  'millrace.batch.deadLetters': {
    kind: 'text',
    default: null,
    on: 'both',
    doc: 'a directory for the records of batches that were left out; not set means dead-letters in the checkpoint directory',
  },
  'millrace.batch.maxRetries': {
    kind: 'count',
    default: 3,
    on: 'both',
    doc: 'how often the policy retry runs a failed batch again before the job stops',
  },
} as const

/** The name of a key the table knows. */
export type ConfKey = keyof typeof confKeys

type Definition<K extends ConfKey> = (typeof confKeys)[K]
type ValueOfKind<Kind extends ConfKind> = Kind extends 'boolean' ? boolean : Kind extends 'text' ? string : number
type ChoiceOf<D> = D extends { readonly choices: readonly (infer C)[] } ? C : never

/** What `Conf.get` gives for a key: null is possible only where the table has no default. */
export type ConfValue<K extends ConfKey> =
  | ([ChoiceOf<Definition<K>>] extends [never] ? ValueOfKind<Definition<K>['kind']> : ChoiceOf<Definition<K>>)
  | (Definition<K>['default'] extends null ? null : never)
