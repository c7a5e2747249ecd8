/** Runs tasks where their blocks are: one block manager, one store of shuffle output, in one thread. */
import { MillraceError } from '../../errors.js'
import type { BlockInfo, CheckpointedLineage, Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import { inTurns } from '../../rdd/pacer.js'
import { type RecordArrays, recordsIn } from '../../rdd/record-arrays.js'
import type { Receiver } from '../../receiver/receiver.js'
import type { TaskMetrics } from '../../scheduler/task-info.js'
import {
  type BlockContent,
  type BlockManager,
  type KeptContent,
  partitionBlockId,
  partsOf,
} from '../../storage/block-manager.js'
import { openDirectory } from '../../storage/directory-handle.js'
import { LoggedBlocks } from '../../storage/logged-blocks.js'
import { encodedChunks, readPartition, writePartition } from '../../storage/partition-file.js'
import { recordsOf } from '../../storage/record-frames.js'
import { readStored } from '../../storage/stored-bytes.js'
import { InputCount } from '../input-count.js'
import { shuffleWriter } from '../shuffle-writer.js'
import { taskError } from '../task-error.js'
import { type Chunks, computeInto, computePartition, type TaskInputs } from '../task-runner.js'
import { readKeptRecords } from './kept-partition.js'
import { LocalShuffleOutput } from './local-shuffle-output.js'
import type { MapOutputs } from './map-outputs.js'
import { readShuffleInput } from './shuffle-reader.js'

/** A unit of work: one partition of a stage. */
export type Task =
  /** Computes the records of a partition. */
  | { readonly type: 'result'; readonly lineage: Lineage; readonly partition: number }
  /** Computes a partition of the shuffle's parent and sorts it into buckets. */
  | { readonly type: 'shuffleMap'; readonly shuffle: PartitionedLineage; readonly partition: number }
  /** Writes the records of a partition to its file in `directory`; gives the bytes written. */
  | { readonly type: 'save'; readonly lineage: Lineage; readonly partition: number; readonly directory: string }

export interface RanTask {
  readonly records: RecordArrays
  readonly metrics: TaskMetrics
}

export interface ExecutorOptions {
  readonly id: number
  readonly blocks: BlockManager
  readonly receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly mapOutputs: MapOutputs
  /** Where output of map tasks goes that memory has no room for. */
  readonly spillDirectory: string
}

export class Executor implements TaskInputs {
  readonly id: number
  readonly blocks: BlockManager
  readonly #receivers: ReadonlyMap<number, Receiver<unknown>>
  readonly #logged = new LoggedBlocks()
  readonly #mapOutputs: MapOutputs

  readonly #spillDirectory: string
  #nextFile = 0

  constructor({ id, blocks, receivers, mapOutputs, spillDirectory }: ExecutorOptions) {
    this.id = id
    this.blocks = blocks
    this.#receivers = receivers
    this.#mapOutputs = mapOutputs
    this.#spillDirectory = spillDirectory
  }

  /** The records of a result task; an empty array after a shuffle map task, whose output stays here; one number after a save task. */
  async run(task: Task): Promise<RanTask> {
    const start = performance.now()
    const count = new InputCount()
    try {
      const { records, outputRecords } = await this.#run(task, count)
      const runMs = performance.now() - start
      const metrics = { runMs, inputRecords: count.records, inputBytes: count.bytes, outputRecords, outputBytes: 0 }
      return { records, metrics }
    } catch (thrown) {
      throw taskError(thrown, task.partition)
    }
  }

  async #run(task: Task, count: InputCount): Promise<{ records: RecordArrays; outputRecords: number }> {
    if (task.type === 'shuffleMap') {
      const { shuffle, partition } = task
      const out = new LocalShuffleOutput({
        spillDirectory: this.#spillDirectory,
        memoryBytes: this.#mapOutputs.roomLeft(1),
        name: `shuffle-${shuffle.id}-${partition}-${this.#nextFile++}`,
        combines: shuffle.combiner?.mapSide === true,
      })
      const writer = shuffleWriter(shuffle, out)
      await computeInto(writer, shuffle.parent, partition, this, count)
      this.#mapOutputs.keep(shuffle.id, partition, out.finish(writer.buckets()))
      return { records: [], outputRecords: out.records }
    }
    const records = await computePartition(task.lineage, task.partition, this, count)
    const outputRecords = recordsIn(records)
    if (task.type === 'result') return { records, outputRecords }
    return { records: [[await this.#save(records, task.partition, task.directory)]], outputRecords }
  }

  /** Closes the files of logs it read from. */
  close(): Promise<void> {
    return this.#logged.close()
  }

  missingOutputs(shuffle: PartitionedLineage): number[] {
    return this.#mapOutputs.missing(shuffle)
  }

  lost(path: string): void {
    this.#mapOutputs.lost(path)
    this.blocks.lost(path)
  }

  forgetShuffle(shuffleId: number): void {
    this.#mapOutputs.forget(shuffleId)
  }

  /** True if every partition of the RDD is kept here. */
  hasCached(lineage: Lineage): boolean {
    for (let partition = 0; partition < lineage.partitions; partition++) {
      if (!this.blocks.has(partitionBlockId(lineage.id, partition))) return false
    }
    return true
  }

  readBlock(block: BlockInfo): Chunks | Promise<Chunks> {
    const content = this.blocks.require(block.id)
    switch (content.type) {
      case 'records':
        return [content.records]
      case 'bytes': {
        const chunks = this.#receiver(block.streamId).readBlock(content.bytes)
        return content.lent === undefined ? chunks : content.lent.reading(chunks)
      }
      case 'logged':
        return this.#logged.read(content).then((kept) => this.#chunksOf(block, kept))
      case 'stored':
        return readStored(content.stored).then((bytes) =>
          content.format === 'records'
            ? [recordsOf(bytes)]
            : this.#receiver(block.streamId).readBlock(Uint8Array.prototype.slice.call(bytes)),
        )
    }
  }

  #chunksOf(block: BlockInfo, content: KeptContent): Chunks {
    return content.type === 'records' ? [content.records] : this.#receiver(block.streamId).readBlock(content.bytes)
  }

  async readShuffle(shuffle: PartitionedLineage, partition: number): Promise<Chunks> {
    return readShuffleInput({
      shuffle,
      buckets: this.#mapOutputs.buckets(shuffle, partition),
      spillDirectory: this.#spillDirectory,
      name: `reduce-${shuffle.id}-${partition}-${this.#nextFile++}`,
    })
  }

  async readCached(lineage: Lineage, partition: number): Promise<readonly unknown[] | null> {
    const content = this.blocks.get(partitionBlockId(lineage.id, partition))
    return content === null ? null : this.#recordsOf(content)
  }

  cache(lineage: Lineage, partition: number, records: readonly unknown[]): void {
    this.blocks.keep(lineage.id, partition, { type: 'records', records }, lineage.storageLevel!)
  }

  async readCheckpoint(lineage: CheckpointedLineage, partition: number): Promise<Chunks> {
    if (lineage.directory !== null) return readPartition(await openDirectory(lineage.directory), partition)
    return [await this.#recordsOf(this.blocks.require(partitionBlockId(lineage.rddId, partition)))]
  }

  async #save(records: RecordArrays, partition: number, directory: string): Promise<number> {
    const chunks = await inTurns(encodedChunks(records))
    return writePartition(await openDirectory(directory), partition, chunks)
  }

  async #recordsOf(content: BlockContent): Promise<readonly unknown[]> {
    if (content.type === 'records') return content.records
    if (content.type === 'stored') return readKeptRecords(partsOf(content))
    throw new MillraceError('INTERNAL', 'A partition is kept as records.')
  }

  #receiver(streamId: number): Receiver<unknown> {
    const receiver = this.#receivers.get(streamId)
    if (receiver === undefined)
      throw new MillraceError('INTERNAL', `No receiver can read blocks of stream ${streamId}.`)
    return receiver
  }
}
