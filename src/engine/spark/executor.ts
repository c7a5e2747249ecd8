/** The Node worker beside a Spark executor: runs one task after another, each with its whole input before it. */
import { errorToData, MillraceError } from '../../errors.js'
import type { AccumulatorRegistry } from '../../rdd/accumulator.js'
import type { CheckpointedLineage, PartitionedLineage } from '../../rdd/lineage.js'
import { Pacer } from '../../rdd/pacer.js'
import type { AnyFunction } from '../../rdd/task-function.js'
import type { Receiver } from '../../receiver/receiver.js'
import { deserializeRecords, serializeRecords } from '../../storage/record-serializer.js'
import type { Time } from '../../time.js'
import { assertSameShape } from '../graph-functions.js'
import { type Bucket, readBuckets, shuffleWriter } from '../shuffle-writer.js'
import { taskError } from '../task-error.js'
import { type Chunks, computeInto, computePartition, type TaskInputs } from '../task-runner.js'
import { fromChunk, toChunks } from './chunk.js'
import { decodeValues } from './frames.js'
import type { JavaLink } from './java-link.js'
import { Frame } from './protocol.js'
import { readReceivedBlock } from './received-block.js'
import { decodeStage, type Stage, type TaskPayload } from './stage.js'

/** Before a chunk's records when it goes through a shuffle: the partition it goes to and the map partition it comes from. */
const SHUFFLE_HEAD_BYTES = 8
/** Stages are asked for again for every partition of every batch; functions of old batches go with them. */
const KEPT_STAGES_MAX = 64

/** What a worker knows of its job: the same graph as the driver's. */
export interface WorkerJob {
  readonly shape: readonly string[]
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly accumulators: AccumulatorRegistry
  find(id: string, time: Time | null): AnyFunction
}

interface Task {
  readonly stage: Uint8Array
  readonly partition: number
  readonly payload: TaskPayload
  readonly inputs: Buffer[][]
}

/** Serves tasks until Java closes the link. */
export function serveTasks(link: JavaLink, job: WorkerJob): void {
  const stages = new Map<string, Stage>()
  let task: Task | null = null
  link.listen((type, body) => {
    switch (type) {
      case Frame.TASK: {
        const [stage, partition, , , count, payload] = decodeValues(body) as [
          Buffer,
          number,
          number,
          number,
          number,
          Buffer,
        ]
        const inputs = Array.from({ length: count }, () => [])
        task = { stage, partition, payload: deserializeRecords(payload)[0] as TaskPayload, inputs }
        return
      }
      case Frame.INPUT:
        task!.inputs[body.readInt32BE(0)]!.push(body.subarray(4))
        return
      case Frame.INPUT_END:
        void runTask(link, job, stages, task!)
        task = null
    }
  })
}

async function runTask(link: JavaLink, job: WorkerJob, stages: Map<string, Stage>, task: Task): Promise<void> {
  try {
    const stage = stageOf(task.stage, job, stages)
    const inputs = new WorkerInputs(job, task)
    if (stage.shuffle === null) await sendRecords(link, stage, task.partition, inputs)
    else await sendBuckets(link, stage, stage.shuffle, task.partition, inputs)
    const added = job.accumulators.drain()
    link.send(Frame.TASK_DONE, [added.length === 0 ? null : serializeRecords(added)])
  } catch (thrown) {
    // What a failed attempt added does not count.
    job.accumulators.drain()
    const error = taskError(thrown, task.partition)
    link.send(Frame.TASK_FAILED, [textOf(error), JSON.stringify(errorToData(error))])
  }
}

function stageOf(bytes: Uint8Array, job: WorkerJob, stages: Map<string, Stage>): Stage {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  let stage = stages.get(key)
  if (stage === undefined) {
    stage = decodeStage(bytes, job.find)
    assertSameShape(stage.shape, job.shape)
    stages.set(key, stage)
    if (stages.size > KEPT_STAGES_MAX) stages.delete(stages.keys().next().value!)
  }
  return stage
}

async function sendRecords(link: JavaLink, stage: Stage, partition: number, inputs: TaskInputs): Promise<void> {
  const records = await computePartition(stage.top, partition, inputs)
  for (const some of records) for (const chunk of toChunks(some)) link.sendBytes(Frame.OUTPUT, chunk)
}

async function sendBuckets(
  link: JavaLink,
  stage: Stage,
  shuffle: PartitionedLineage,
  partition: number,
  inputs: TaskInputs,
): Promise<void> {
  const writer = shuffleWriter(shuffle)
  await computeInto(writer, stage.top, partition, inputs)
  for (const [target, bucket] of writer.buckets().entries()) {
    if (bucket.length > 0) link.sendBytes(Frame.OUTPUT, serializeRecords(bucket), target, partition)
  }
}

/** The inputs of one task, as Java sent them. */
class WorkerInputs implements TaskInputs {
  readonly #job: WorkerJob
  /** For each leaf and partition: the chunks, and of received blocks the stream they came by. */
  readonly #chunks = new Map<string, { chunks: Buffer[]; stream: number | null }[]>()
  readonly #slices = new Map<string, readonly unknown[]>()

  constructor(job: WorkerJob, { payload, inputs }: Task) {
    this.#job = job
    payload.inputs.forEach(([leaf, partition, stream], i) => {
      const key = `${leaf}/${partition}`
      const known = this.#chunks.get(key)
      if (known === undefined) this.#chunks.set(key, [{ chunks: inputs[i]!, stream }])
      else known.push({ chunks: inputs[i]!, stream })
    })
    for (const [leaf, partition, records] of payload.slices) this.#slices.set(`${leaf}/${partition}`, records)
  }

  /** Every leaf but a shuffle is a checkpointed node in a worker: records the driver gave, kept ones, or received blocks. */
  async readCheckpoint(lineage: CheckpointedLineage, partition: number): Promise<Chunks> {
    const key = `${lineage.rddId}/${partition}`
    const slice = this.#slices.get(key)
    if (slice !== undefined) return [slice]
    return this.#read(this.#chunks.get(key) ?? [])
  }

  *#read(inputs: readonly { chunks: Buffer[]; stream: number | null }[]): Generator<readonly unknown[]> {
    for (const { chunks, stream } of inputs) {
      for (const chunk of chunks) {
        if (stream === null) yield fromChunk(chunk)
        else yield* readReceivedBlock(chunk, this.#job.receivers.get(stream))
      }
    }
  }

  async readShuffle(shuffle: PartitionedLineage, partition: number): Promise<Chunks> {
    const chunks = (this.#chunks.get(`${shuffle.id}/${partition}`) ?? []).flatMap((input) => input.chunks)
    // Spark fetches in any order; a shuffle here reads its map tasks in theirs.
    chunks.sort((a, b) => a.readInt32BE(4) - b.readInt32BE(4))
    const buckets = chunks.map((chunk) => deserializeRecords(chunk.subarray(SHUFFLE_HEAD_BYTES)) as Bucket)
    return readBuckets(shuffle, buckets, new Pacer())
  }

  readCached(): null {
    return null
  }

  cache(): void {}

  readBlock(): never {
    throw new MillraceError('INTERNAL', 'Received blocks reach a worker of Spark as input.')
  }
}

/** What Spark's log and UI show: the user's own error, with the place in the user's TypeScript. */
function textOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error
  return `${error.message}\n${cause.stack ?? ''}`
}
