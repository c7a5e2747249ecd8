/** Runs tasks in an executor thread: what a task reads came with it, what it leaves behind goes to the driver as bytes. */
import { stateLayer, statesIn } from '../../dstream/state-partition-layers.js'
import type { StatePartition } from '../../dstream/state-update.js'
import { MillraceError } from '../../errors.js'
import type { BlockInfo, CheckpointedLineage, Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import { recordsIn } from '../../rdd/record-arrays.js'
import type { Receiver } from '../../receiver/receiver.js'
import type { TaskMetrics } from '../../scheduler/task-info.js'
import { openDirectory } from '../../storage/directory-handle.js'
import type { LoggedBlocks } from '../../storage/logged-blocks.js'
import { encodedChunks, readPartition, writePartition } from '../../storage/partition-file.js'
import { framesOf, readFrames } from '../../storage/record-frames.js'
import type { SharedPool } from '../../storage/shared-bytes.js'
import { readStored, readStoredSync, type StoredBytes } from '../../storage/stored-bytes.js'
import { InputCount } from '../input-count.js'
import { shuffleWriter } from '../shuffle-writer.js'
import { type Chunks, computeInto, computePartition, type TaskInputs } from '../task-runner.js'
import type { HeldValues } from './held-values.js'
import { readKept } from './kept-partition.js'
import {
  type BlockInput,
  inputKey,
  type KeptPartition,
  type TaskData,
  type TaskInput,
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
  readonly values: HeldValues
}

/** Changes lie on states in so many parts at most. */
const layersMax = 64

export class ThreadExecutor {
  readonly #options: ThreadExecutorOptions

  constructor(options: ThreadExecutorOptions) {
    this.#options = options
  }

  /** Runs one task of a stage. Rejects with whatever the user's functions threw. */
  async run(stage: Stage, task: TaskData): Promise<TaskResult> {
    const start = performance.now()
    const inputs = new AttachedInputs(this.#options, task)
    const { output, outputRecords, outputBytes } =
      stage.shuffle === null
        ? await this.#result(stage, task, inputs)
        : await this.#shuffleMap(stage.shuffle, stage.top, task, inputs)
    const { records: inputRecords, bytes: inputBytes } = inputs.count
    const runMs = performance.now() - start
    return { output, kept: inputs.kept, metrics: { runMs, inputRecords, inputBytes, outputRecords, outputBytes } }
  }

  async #result({ top, directory }: Stage, task: TaskData, inputs: AttachedInputs): Promise<Ran> {
    let records = await computePartition(top, task.partition, inputs, inputs.count)
    const outputRecords = recordsIn(records)
    if (directory !== null) {
      records = [[await writePartition(await openDirectory(directory), task.partition, encodedChunks(records))]]
    }
    const bytes = Buffer.concat(records.flatMap((some) => framesOf(some)))
    // Memory of its own: a small Buffer is a view on a pool that must stay here.
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
    return { output: { type: 'result', bytes: own }, outputRecords, outputBytes: bytes.byteLength }
  }

  async #shuffleMap(shuffle: PartitionedLineage, top: Lineage, task: TaskData, inputs: AttachedInputs): Promise<Ran> {
    const { pool, spillDirectory } = this.#options
    const combines = shuffle.combiner?.mapSide === true
    const name = `shuffle-${shuffle.id}-${task.partition}-${task.id}`
    const out = new ShuffleOutput({ pool, spillDirectory, name, spillBytes: task.memoryBytes, combines })
    const writer = shuffleWriter(shuffle, out)
    await computeInto(writer, top, task.partition, inputs, inputs.count)
    out.flush(writer.buckets())
    const parts = out.finish()
    const outputBytes = parts.reduce((sum, part) => sum + part.stored.length, 0)
    return { output: { type: 'shuffle', parts }, outputRecords: out.records, outputBytes }
  }
}

interface Ran {
  readonly output: TaskOutput
  readonly outputRecords: number
  readonly outputBytes: number
}

interface Layer {
  readonly bytes: readonly Uint8Array[]
  readonly beneath: NonNullable<KeptPartition['beneath']>
  readonly beneathBytes: number
}

/** The inputs that came with one task. */
class AttachedInputs implements TaskInputs {
  readonly kept: KeptPartition[] = []
  readonly count: InputCount = new InputCount()
  readonly #options: ThreadExecutorOptions
  readonly #inputs: ReadonlyMap<string, TaskInput>
  readonly #taskId: number
  /** States that were read, and where they came from: the next ones may be written as what changed since. */
  readonly #statesRead: {
    readonly key: string
    readonly states: StatePartition
    readonly parts: readonly StoredBytes[]
  }[] = []

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
    const buckets = input.type === 'shuffle' ? input.buckets : []
    for (const bucket of buckets) this.count.bytes += bucket.length
    return readShuffleInput({
      shuffle,
      buckets,
      spillDirectory: this.#options.spillDirectory,
      name: `reduce-${shuffle.id}-${partition}-${this.#taskId}`,
    })
  }

  async readCached(lineage: Lineage, partition: number): Promise<readonly unknown[] | null> {
    const key = inputKey(lineage.id, partition, true)
    const input = this.#inputs.get(key)
    if (input?.type !== 'records') return null
    const chunks = await this.#readKept(key, lineage.id, partition, input.parts)
    return Array.isArray(chunks) && chunks.length === 1 ? chunks[0] : [...chunks].flat()
  }

  /** States are written as what changed since those they were made from, as long as that is the smaller part. */
  cache(lineage: Lineage, partition: number, records: readonly unknown[]): void {
    const { pool, values } = this.#options
    const { useMemory, useDisk, deserialized } = lineage.storageLevel!
    const layer = this.#layerOf(records)
    const stored = { type: 'shared' as const, ...pool.write(layer === null ? framesOf(records) : layer.bytes) }
    const beneathBytes = layer?.beneathBytes ?? 0
    const isHeld = deserialized && values.put(lineage.id, partition, records, beneathBytes + stored.length)
    const level = { useMemory, useDisk }
    this.kept.push({ rddId: lineage.id, partition, stored, level, beneath: layer?.beneath ?? null, isHeld })
  }

  async #readKept(key: string, rddId: number, partition: number, parts: readonly StoredBytes[]): Promise<Chunks> {
    const held = this.#options.values.get(rddId, partition)
    if (held === null) for (const { length } of parts) this.count.bytes += length
    const chunks = held === null ? await readKept(parts) : [held]
    // States come in one chunk.
    const states = Array.isArray(chunks) ? statesIn(chunks[0]) : null
    if (states !== null) this.#statesRead.push({ key, states, parts })
    return chunks
  }

  /** What changed since states that were read, as frames, and the parts they lie on; null when the whole has to be written. */
  #layerOf(records: readonly unknown[]): Layer | null {
    const after = statesIn(records)
    if (after === null) return null
    for (const { key, states, parts } of this.#statesRead) {
      // A file goes with its block; what others lie on must not.
      if (parts.some(({ type }) => type !== 'shared')) continue
      const [whole, ...layers] = parts.map(({ length }) => length)
      if (layers.reduce((sum, length) => sum + length, 0) > whole! / 2) continue
      const layer = stateLayer(states, after)
      if (layer === null) continue
      const isLow = parts.length <= layersMax
      // Frames one after another are frames: many layers become one by copying them.
      const below = isLow ? [] : parts.slice(1).map((part) => readStoredSync(part))
      const kept = isLow ? parts.length : 1
      return {
        bytes: [...below, ...framesOf([layer])],
        beneath: { key, parts: kept },
        beneathBytes: parts.slice(0, kept).reduce((sum, { length }) => sum + length, 0),
      }
    }
    return null
  }

  /** Every source of a stage is a leaf of this type; see `stageToData`. */
  async readCheckpoint(lineage: CheckpointedLineage, partition: number): Promise<Chunks> {
    if (lineage.directory !== null) return readPartition(await openDirectory(lineage.directory), partition)
    const key = inputKey(lineage.id, partition, false)
    const input = this.#require(key)
    switch (input.type) {
      case 'records':
        if (input.isKept) return this.#readKept(key, lineage.rddId, partition, input.parts)
        this.count.bytes += input.parts[0]!.length
        return readFrames(await readStored(input.parts[0]!))
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
      if (content.type === 'bytes') this.count.bytes += content.bytes.byteLength
      return content.type === 'records' ? [content.records] : this.#receiver(streamId).readBlock(content.bytes)
    }
    const bytes = await readStored(block.stored)
    this.count.bytes += bytes.byteLength
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
