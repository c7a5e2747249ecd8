/** Finds what a task reads: goes down its lineage to kept partitions, shuffles and sources, and takes the part of its partition. */
import { MillraceError } from '../../errors.js'
import type { BlocksLineage, Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import { type BlockContent, type BlockManager, partitionBlockId, partsOf } from '../../storage/block-manager.js'
import { framesOf } from '../../storage/record-frames.js'
import type { SharedBytes, SharedPool } from '../../storage/shared-bytes.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'
import type { MapOutputs } from './map-outputs.js'
import { type BlockInput, inputKey, type TaskInput } from './messages.js'

export interface ResolvedInputs {
  readonly inputs: Map<string, TaskInput>
  /** All bytes among them: in use until the task has ended. */
  readonly stored: readonly StoredBytes[]
  /** Those that were written for this task, and are of no use after it. */
  readonly written: readonly StoredBytes[]
}

export class TaskInputResolver {
  readonly #blocks: BlockManager
  readonly #mapOutputs: MapOutputs
  readonly #pool: SharedPool
  #written: StoredBytes[] = []

  constructor(blocks: BlockManager, mapOutputs: MapOutputs, pool: SharedPool) {
    this.#blocks = blocks
    this.#mapOutputs = mapOutputs
    this.#pool = pool
  }

  /** Throws `BLOCK_NOT_FOUND` when a block or a shuffle's output is not kept anywhere, `NOT_SERIALIZABLE` for records that cannot travel. */
  resolve(top: Lineage, partition: number): ResolvedInputs {
    const inputs = new Map<string, TaskInput>()
    const stored: StoredBytes[] = []
    const seen = new Set<string>()
    const add = (key: string, input: TaskInput): void => {
      inputs.set(key, input)
      if (input.type === 'records') stored.push(...input.parts)
      else if (input.type === 'shuffle') stored.push(...input.buckets)
      else for (const block of input.blocks) if (block.type === 'stored') stored.push(block.stored)
    }
    const walk = (node: Lineage, at: number): void => {
      const key = inputKey(node.id, at, false)
      if (seen.has(key)) return
      seen.add(key)
      if (node.storageLevel !== null) {
        const kept = this.#blocks.get(partitionBlockId(node.id, at))
        if (kept !== null) {
          add(inputKey(node.id, at, true), { type: 'records', parts: this.#parts(kept), isKept: true })
          return
        }
      }
      switch (node.type) {
        case 'mapped':
          for (const parent of node.parents) walk(parent, at)
          return
        case 'united':
          for (const ref of node.groups[at]!) walk(node.parents[ref.parent]!, ref.partition)
          return
        case 'partitioned':
          add(key, { type: 'shuffle', buckets: this.#buckets(node, at) })
          return
        case 'blocks':
          add(key, { type: 'blocks', streamId: node.streamId, blocks: this.#blockInputs(node, at) })
          return
        case 'parallelized':
          add(key, { type: 'records', parts: [this.#write(node.slices[at]!)], isKept: false })
          return
        case 'checkpointed':
          if (node.directory !== null) return
          add(key, {
            type: 'records',
            parts: this.#parts(this.#blocks.require(partitionBlockId(node.rddId, at))),
            isKept: true,
          })
      }
    }
    this.#written = []
    walk(top, partition)
    return { inputs, stored, written: this.#written }
  }

  #buckets(shuffle: PartitionedLineage, partition: number): StoredBytes[] {
    return this.#mapOutputs
      .buckets(shuffle, partition)
      .map((bucket) => (Array.isArray(bucket) ? this.#write(bucket) : bucket))
  }

  #blockInputs(node: BlocksLineage, partition: number): BlockInput[] {
    return node.blocks[partition]!.map((block) => this.#blockInput(this.#blocks.require(block.id)))
  }

  #blockInput(content: BlockContent): BlockInput {
    switch (content.type) {
      case 'stored':
      case 'logged':
        return content
      case 'bytes':
        return { type: 'stored', format: 'bytes', stored: this.#keep(this.#pool.write([content.bytes])) }
      case 'records':
        return { type: 'stored', format: 'records', stored: this.#write(content.records) }
    }
  }

  #parts(content: BlockContent): readonly StoredBytes[] {
    if (content.type === 'stored') return partsOf(content)
    if (content.type === 'records') return [this.#write(content.records)]
    throw new MillraceError('INTERNAL', 'A partition is kept as records.')
  }

  #write(records: readonly unknown[]): StoredBytes {
    return this.#keep(this.#pool.write(framesOf(records)))
  }

  /** Bytes written for one task only. */
  #keep(bytes: SharedBytes): StoredBytes {
    const stored: StoredBytes = { type: 'shared', ...bytes }
    this.#written.push(stored)
    return stored
  }
}
