/** Runs tasks in an executor thread: what a task reads came with it, what it leaves behind goes to the driver as bytes. */
import { MillraceError } from '../../errors.js'
import type { BlockInfo, CheckpointedLineage, Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import type { Receiver } from '../../receiver/receiver.js'
import { openDirectory } from '../../storage/directory-handle.js'
import type { LoggedBlocks } from '../../storage/logged-blocks.js'
import { encodedChunks, readPartition, writePartition } from '../../storage/partition-file.js'
import { framesOf, readFrames, recordsOf } from '../../storage/record-frames.js'
import type { SharedPool } from '../../storage/shared-bytes.js'
import { readStored } from '../../storage/stored-bytes.js'
import { shuffleWriter } from '../shuffle-writer.js'
import { type Chunks, computePartition, forEachRecord, type TaskInputs } from '../task-runner.js'
import {
  type BlockInput,
  inputKey,
  type KeptPartition,
  type TaskData,
  type TaskInput,
  type TaskMetrics,
  type TaskOutput,
} from './messages.js'
import { ShuffleOutput } from './shuffle-output.js'
import { readShuffleInput } from './shuffle-reader.js'
import type { Stage } from './stage-data.js'

/** What came of a task. */
export interface TaskResult {
  readonly output: TaskOutput
  readonly kept: readonly KeptPartition[]
  readonly metrics: TaskMetrics
}

export interface ThreadExecutorOptions {
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly pool: SharedPool
  readonly spillDirectory: string
  readonly logged: LoggedBlocks
}

export class ThreadExecutor {
  readonly #options: ThreadExecutorOptions

  constructor(options: ThreadExecutorOptions) {
    this.#options = options
  }

  /** Runs one task of a stage. Rejects with whatever the user's functions threw. */
  async run(stage: Stage, task: TaskData): Promise<TaskResult> {
    const startTime = Date.now()
    const start = performance.now()
    const inputs = new AttachedInputs(this.#options, task)
    const { output, resultRecords, resultBytes } =
      stage.shuffle === null
        ? await this.#result(stage, task, inputs)
        : await this.#shuffleMap(stage.shuffle, stage.top, task, inputs)
    return {
      output,
      kept: inputs.kept,
      metrics: { startTime, runMs: performance.now() - start, resultRecords, resultBytes },
    }
  }

  async #result({ top, directory }: Stage, task: TaskData, inputs: TaskInputs): Promise<Ran> {
    let records = await computePartition(top, task.partition, inputs)
    if (directory !== null) {
      records = [await writePartition(await openDirectory(directory), task.partition, encodedChunks([records]))]
    }
    const bytes = Buffer.concat(framesOf(records))
    // Memory of its own: a small Buffer is a view on a pool that must stay here.
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
    return { output: { type: 'result', bytes: own }, resultRecords: records.length, resultBytes: bytes.byteLength }
  }

  async #shuffleMap(shuffle: PartitionedLineage, top: Lineage, task: TaskData, inputs: TaskInputs): Promise<Ran> {
    const { pool, spillDirectory } = this.#options
    const combines = shuffle.combiner?.mapSide === true
    const name = `shuffle-${shuffle.id}-${task.partition}-${task.id}`
    const out = new ShuffleOutput({ pool, spillDirectory, name, spillBytes: task.memoryBytes, combines })
    const writer = shuffleWriter(shuffle, out)
    await forEachRecord(top, task.partition, inputs, writer.emit)
    out.flush(writer.buckets())
    const parts = out.finish()
    const resultBytes = parts.reduce((sum, part) => sum + part.stored.length, 0)
    return { output: { type: 'shuffle', parts }, resultRecords: out.records, resultBytes }
  }
}

interface Ran {
  readonly output: TaskOutput
  readonly resultRecords: number
  readonly resultBytes: number
}

/** The inputs that came with one task. */
class AttachedInputs implements TaskInputs {
  readonly kept: KeptPartition[] = []
  readonly #options: ThreadExecutorOptions
  readonly #inputs: ReadonlyMap<string, TaskInput>
  readonly #taskId: number

  constructor(options: ThreadExecutorOptions, task: TaskData) {
    this.#options = options
    this.#inputs = task.inputs
    this.#taskId = task.id
  }

  readBlock(block: BlockInfo): never {
    throw new MillraceError('INTERNAL', `Block ${block.id} should have come with its task.`)
  }

  async readShuffle(shuffle: PartitionedLineage, partition: number): Promise<Chunks> {
    const input = this.#require(inputKey(shuffle.id, partition, false))
    return readShuffleInput({
      shuffle,
      buckets: input.type === 'shuffle' ? input.buckets : [],
      spillDirectory: this.#options.spillDirectory,
      name: `reduce-${shuffle.id}-${partition}-${this.#taskId}`,
    })
  }

  async readCached(lineage: Lineage, partition: number): Promise<readonly unknown[] | null> {
    const input = this.#inputs.get(inputKey(lineage.id, partition, true))
    return input?.type === 'records' ? recordsOf(await readStored(input.stored)) : null
  }

  cache(lineage: Lineage, partition: number, records: readonly unknown[]): void {
    const stored = { type: 'shared' as const, ...this.#options.pool.write(framesOf(records)) }
    const { useMemory, useDisk } = lineage.storageLevel!
    this.kept.push({ rddId: lineage.id, partition, stored, level: { useMemory, useDisk } })
  }

  /** Every source of a stage is a leaf of this type; see `stageToData`. */
  async readCheckpoint(lineage: CheckpointedLineage, partition: number): Promise<Chunks> {
    if (lineage.directory !== null) return readPartition(await openDirectory(lineage.directory), partition)
    const input = this.#require(inputKey(lineage.rddId, partition, false))
    switch (input.type) {
      case 'records':
        return readFrames(await readStored(input.stored))
      case 'blocks': {
        const chunks: Chunks[] = []
        for (const block of input.blocks) chunks.push(await this.#readBlock(input.streamId, block))
        return concatenated(chunks)
      }
      case 'shuffle':
        throw new MillraceError('INTERNAL', `Node ${lineage.id} is not a shuffle.`)
    }
  }

  async #readBlock(streamId: number, block: BlockInput): Promise<Chunks> {
    if (block.type === 'logged') {
      const content = await this.#options.logged.read(block)
      return content.type === 'records' ? [content.records] : this.#receiver(streamId).readBlock(content.bytes)
    }
    const bytes = await readStored(block.stored)
    if (block.format === 'records') return readFrames(bytes)
    // A copy: what users keep of their messages must outlive the block, and ordinary memory is what libraries accept.
    return this.#receiver(streamId).readBlock(Uint8Array.prototype.slice.call(bytes))
  }

  #receiver(streamId: number): Receiver<unknown> {
    const receiver = this.#options.receivers.get(streamId)
    if (receiver === undefined)
      throw new MillraceError('INTERNAL', `No receiver can read blocks of stream ${streamId}.`)
    return receiver
  }

  #require(key: string): TaskInput {
    const input = this.#inputs.get(key)
    if (input === undefined) throw new MillraceError('BLOCK_NOT_FOUND', `Input ${key} did not come with its task.`)
    return input
  }
}

function* concatenated(all: readonly Chunks[]): Generator<readonly unknown[]> {
  for (const chunks of all) yield* chunks
}
