/** The keys that Spark has not: `millrace.…` */

export const millraceKeys = {
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
  'millrace.receiver.disk': {
    kind: 'bytes',
    default: 0,
    on: 'embedded',
    doc: 'received input that may wait in files when memory is full, for receivers whose storage level has disk; beyond it sources are not read',
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
  'millrace.replay.retain': {
    kind: 'duration',
    default: 60_000,
    on: 'embedded',
    doc: 'how long batches that are done stay in the log of the checkpoint directory, with the state before them, for `millrace replay`; 0 for not at all',
  },
  'millrace.replay.maxBytes': {
    kind: 'bytes',
    default: 67_108_864,
    on: 'embedded',
    doc: 'received data of batches that are done, beyond which the oldest are let go before their time',
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
