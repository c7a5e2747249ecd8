/** What Node and Java say to each other: the frames by name, each with its fields. docs/protocol.md is the prose; Frame.java the twin. */

/** Raised with every change of a frame's meaning: both ends must agree. */
export const PROTOCOL_VERSION = 2

/** The kinds of frame. A control frame's body is a list of values (`encodeValues`); the four marked "raw" carry bytes behind whole numbers. */
export const Frame = {
  /** Either end, first: `[protocolVersion, version of Node or Java]`. */
  HELLO: 1,

  // Between the Node driver and the driver JVM.
  /** Node: `[id, batch time or null, operations]`; see `Operation`. */
  CALL: 2,
  /** Java: `[id, value of the last operation]`. */
  RESULT: 3,
  /** Java: `[id, class, message or null, ErrorData as JSON or null, stack]`. */
  FAILURE: 4,
  /** Java, raw: id, partition, then a chunk. Before the RESULT of a `collect`. */
  DATA: 5,
  /** Java: `[time, inputs]`, each input `[partitions, records or null]`. The batch's calls are answered until BATCH_DONE. */
  BATCH: 6,
  /** Node: `[time, failure text or null, ErrorData as JSON or null]`. */
  BATCH_DONE: 7,
  /** Java: `[name, …fields]`; see `SparkEvent`. */
  EVENT: 8,

  // Between an executor and a Node worker.
  /** Java: `[stage, partition, attempt, task id, inputs, payload or null]`. */
  TASK: 16,
  /** Java, raw: number of the input, then a chunk. */
  INPUT: 17,
  /** Java: `[]`. The worker answers only after this. */
  INPUT_END: 18,
  /** Node, raw: a chunk. */
  OUTPUT: 19,
  /** Node: `[report or null]`. */
  TASK_DONE: 20,
  /** Node: `[text, ErrorData as JSON]`. */
  TASK_FAILED: 21,

  // Between an executor and a Node receiver.
  /** Java: `[number of the receiver, stream id]`. */
  RECEIVER_START: 32,
  /** Node: `[]`. */
  RECEIVER_STARTED: 33,
  /** Node, raw: number of the block, its records, then its bytes. */
  BLOCK: 34,
  /** Java: `[number of the block]`. The block is as safe as its storage level and the log promise. */
  STORED: 35,
  /** Java: `[number of the block, why]`. */
  NOT_STORED: 36,
  /** Java: `[records per second or null]`. */
  RATE: 37,
  /** Node: `[message, text, ErrorData as JSON or null]`. */
  REPORT: 38,
  /** Java: `[]`: stop and send the rest. Node: `[message]`: this receiver has stopped for good. */
  RECEIVER_STOP: 39,
} as const

/** A value of a control frame. Absence is null, never undefined. A whole number travels as 32 or 64 bits, any other as a double. */
export type Value = null | boolean | number | string | Uint8Array | readonly Value[]

/** A storage level as `[useDisk, useMemory, useOffHeap, deserialized, replication]`. */
export type StorageLevelValue = readonly [boolean, boolean, boolean, boolean, number]

/** One partition of a `node` operation: for each input the position of its parent, and that parent's partition; bytes of its own or null. */
export type NodePartitionValue = readonly [
  parents: readonly number[],
  partitions: readonly number[],
  payload: Uint8Array | null,
]

/** What the driver JVM can do. RDDs go by handles, numbers the Node driver chooses. Operations of one CALL run in order, the last one's value is the result. */
export type Operation =
  /** Opens the SparkContext: `[Spark's version, application id, default parallelism, address of the UI or null]`. */
  | readonly ['context', conf: readonly (readonly [string, string])[]]
  /** Ships files to every executor under their own base names. */
  | readonly ['ship', paths: readonly string[]]
  /** Opens the StreamingContext, from the checkpoint in `directory` if there is one: `[recovered, inputs]`. */
  | readonly [
      'streaming',
      batchMs: number,
      rememberMs: number | null,
      directory: string | null,
      receivers: readonly (readonly [host: string | null, level: StorageLevelValue])[],
    ]
  | readonly ['start']
  | readonly ['stopStreaming', gracefully: boolean]
  | readonly ['stop']
  /** The RDD of one input of a batch; inputs count from 1, in the order of the receivers. */
  | readonly ['input', handle: number, time: number, input: number]
  /** Lets go of the input RDDs of batches before `time`. */
  | readonly ['forget', time: number]
  /** An RDD whose tasks run `stage` in a Node worker. */
  | readonly [
      'node',
      handle: number,
      parents: readonly number[],
      partitions: readonly NodePartitionValue[],
      stage: Uint8Array,
      name: string,
    ]
  /** Moves each chunk to the partition its first four bytes name. */
  | readonly ['shuffle', handle: number, parent: number, partitions: number]
  | readonly ['persist', handle: number, level: StorageLevelValue]
  | readonly ['unpersist', handle: number]
  | readonly ['drop', handles: readonly number[]]
  /** Names the jobs that follow, as Spark's UI shows them: in lists, in short, and where somebody asks for details. */
  | readonly ['job', description: string, site: string, stack: string]
  /** Computes partitions (all when null), whose chunks come as DATA; the value is the reports of the tasks. */
  | readonly ['collect', handle: number, partitions: readonly number[] | null]
  /** Computes `parent` and makes it an RDD without history: written to `directory`, and kept in the executors too, or there only, in two copies where there are two. */
  | readonly ['checkpoint', handle: number, parent: number, directory: string | null, isKept: boolean]
  /** The RDD that `checkpoint` wrote to `directory`. */
  | readonly ['restore', handle: number, directory: string]
  /** Received blocks by Spark's own block info: `[name, [executor, level][]][]`. */
  | readonly ['blocks']
  /** Ends the idle Node workers of this JVM. */
  | readonly ['workers']
  | readonly ['write', path: string, bytes: Uint8Array]
  | readonly ['read', path: string]
  | readonly ['list', path: string]
  | readonly ['delete', path: string]
  | readonly ['rename', from: string, to: string]

/** What Spark's listeners heard. */
export type SparkEvent =
  | readonly ['executorAdded', executor: string, host: string]
  | readonly ['executorRemoved', executor: string, reason: string]
  | readonly ['batchCompleted', time: number, records: number, schedulingDelayMs: number, processingDelayMs: number]
  | readonly [
      'receiverStarted' | 'receiverError' | 'receiverStopped',
      streamId: number,
      host: string,
      executor: string,
      message: string,
      error: string,
    ]
