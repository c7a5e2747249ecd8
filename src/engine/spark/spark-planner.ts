/**
 * Turns a lineage into operations of the driver JVM. What is between two shuffles becomes one `node` operation; a shuffle, a kept
 * partition and a checkpoint are RDDs of Spark's own, which later jobs find again under the same handle.
 */
import type { Lineage, PartitionedLineage } from '../../rdd/lineage.js'
import type { StorageLevel } from '../../rdd/storage-level.js'
import { serializeRecords } from '../../storage/record-serializer.js'
import type { NodePartitionValue, Operation, StorageLevelValue } from './protocol.js'
import { encodeStage, isRead, leavesOf, type StageEnd, type StageInput, type TaskPayload } from './stage.js'
import { stageName } from './stage-name.js'

/** How an RDD is made and where: the operations to run first, the handle, and handles that go once the job is done. */
export interface Plan {
  readonly operations: Operation[]
  readonly handle: number
  readonly temporary: number[]
}

/** Where a received block is in Spark: input number, batch and partition, all in its id. */
export interface SparkBlock {
  readonly time: number
  readonly input: number
  readonly partition: number
}

export function sparkBlockId({ time, input, partition }: SparkBlock): string {
  return `spark-${time}-${input}-${partition}`
}

function parseBlockId(id: string): SparkBlock {
  const [, time, input, partition] = id.split('-').map(Number)
  return { time: time!, input: input!, partition: partition! }
}

export class SparkPlanner {
  readonly #shape: () => readonly string[]
  readonly #places: () => ReadonlyMap<string, string>
  #lastHandle = 0
  /** RDDs of Spark's that hold the records of a node, as chunks. */
  readonly #handles = new WeakMap<Lineage, number>()
  /** RDDs of Spark's that hold what a shuffle moved: buckets, which a task still has to combine into records. */
  readonly #shuffles = new WeakMap<PartitionedLineage, number>()
  readonly #keptHandles = new Map<number, number>()
  readonly #inputs = new Map<string, number>()
  /** Handles whose node nobody can ask for any more. */
  #unreachable: number[] = []
  readonly #registry = new FinalizationRegistry<number>((handle) => this.#unreachable.push(handle))

  /** `shape` is that of the job's graph, `places` the lines its operators stand in. */
  constructor(shape: () => readonly string[], places: () => ReadonlyMap<string, string>) {
    this.#shape = shape
    this.#places = places
  }

  /** How to get an RDD whose elements are chunks of records of `lineage`. */
  plan(lineage: Lineage): Plan {
    const plan: Plan = { operations: this.#dropUnreachable(), handle: 0, temporary: [] }
    const handle = this.#records(lineage, plan)
    return { ...plan, handle }
  }

  /** Says that Spark has the records of `lineage` under this handle. */
  adopt(lineage: Lineage, handle: number): void {
    this.#handles.set(lineage, handle)
    this.#registry.register(lineage, handle)
  }

  newHandle(): number {
    return ++this.#lastHandle
  }

  /** From now on the kept partitions of this RDD are those of `handle`; the handle they had, or null. */
  replaceKept(rddId: number, handle: number): number | null {
    const before = this.#keptHandles.get(rddId) ?? null
    this.#keptHandles.set(rddId, handle)
    return before
  }

  /** The handle of a kept RDD, which is forgotten; null when it was never computed. */
  forgetKept(rddId: number): number | null {
    const handle = this.#keptHandles.get(rddId) ?? null
    this.#keptHandles.delete(rddId)
    return handle
  }

  /** Lets go of the inputs of batches before `time`; the handles to drop. */
  forgetInputs(time: number): number[] {
    const dropped: number[] = []
    for (const [key, handle] of this.#inputs) {
      if (Number(key.split('/')[0]) >= time) continue
      this.#inputs.delete(key)
      dropped.push(handle)
    }
    return dropped
  }

  #dropUnreachable(): Operation[] {
    const handles = this.#unreachable
    this.#unreachable = []
    return handles.length === 0 ? [] : [['drop', handles]]
  }

  #records(lineage: Lineage, plan: Plan): number {
    if (lineage.storageLevel !== null) return this.#kept(lineage, lineage.storageLevel, plan)
    const known = this.#handles.get(lineage)
    if (known !== undefined) return known
    if (lineage.type === 'checkpointed' && lineage.directory !== null) return this.#restored(lineage, plan)
    const handle = this.#node(lineage, { type: 'result' }, plan)
    plan.temporary.push(handle)
    return handle
  }

  #kept(lineage: Lineage, level: StorageLevel, plan: Plan): number {
    const known = this.#keptHandles.get(lineage.id)
    if (known !== undefined) return known
    const handle = this.#node(lineage, { type: 'result' }, plan)
    plan.operations.push(['persist', handle, storageLevelValue(level)])
    this.#keptHandles.set(lineage.id, handle)
    return handle
  }

  #restored(lineage: Lineage & { readonly type: 'checkpointed' }, plan: Plan): number {
    const handle = ++this.#lastHandle
    plan.operations.push(['restore', handle, lineage.directory!])
    this.adopt(lineage, handle)
    return handle
  }

  #shuffled(shuffle: PartitionedLineage, plan: Plan): number {
    const known = this.#shuffles.get(shuffle)
    if (known !== undefined) return known
    const mapSide = this.#node(shuffle.parent, { type: 'shuffle', shuffle }, plan)
    plan.temporary.push(mapSide)
    const handle = ++this.#lastHandle
    plan.operations.push(['shuffle', handle, mapSide, shuffle.partitions])
    this.#shuffles.set(shuffle, handle)
    this.#registry.register(shuffle, handle)
    return handle
  }

  #received(block: SparkBlock, plan: Plan): number {
    const key = `${block.time}/${block.input}`
    const known = this.#inputs.get(key)
    if (known !== undefined) return known
    const handle = ++this.#lastHandle
    plan.operations.push(['input', handle, block.time, block.input])
    this.#inputs.set(key, handle)
    return handle
  }

  /** An RDD that runs everything from `top` down to its leaves in one task a partition. */
  #node(top: Lineage, end: StageEnd, plan: Plan): number {
    // A shuffle reads what is kept of its parent rather than computing it once more.
    const root = end.type === 'shuffle' && top.storageLevel !== null ? wrapped(top) : top
    const parents: number[] = []
    const position = new Map<number, number>()
    const partitions: NodePartitionValue[] = []
    const parentOf = (handle: number): number => {
      let at = position.get(handle)
      if (at === undefined) {
        at = parents.push(handle) - 1
        position.set(handle, at)
      }
      return at
    }
    for (let partition = 0; partition < root.partitions; partition++) {
      const from: number[] = []
      const fromPartitions: number[] = []
      const inputs: StageInput[] = []
      const slices: [number, number, readonly unknown[]][] = []
      for (const { leaf, partition: at } of leavesOf(root, partition)) {
        if (leaf.type === 'parallelized' && isRead(leaf, root)) {
          slices.push([leaf.id, at, leaf.slices[at]!])
        } else if (leaf.type === 'blocks' && isRead(leaf, root)) {
          for (const { id } of leaf.blocks[at]!) {
            const block = parseBlockId(id)
            from.push(parentOf(this.#received(block, plan)))
            fromPartitions.push(block.partition)
            inputs.push([leaf.id, at, leaf.streamId])
          }
        } else {
          const isShuffle = leaf.type === 'partitioned' && isRead(leaf, root)
          from.push(parentOf(isShuffle ? this.#shuffled(leaf, plan) : this.#records(leaf, plan)))
          fromPartitions.push(at)
          inputs.push([leaf.id, at, null])
        }
      }
      partitions.push([from, fromPartitions, serializeRecords([{ inputs, slices } satisfies TaskPayload])])
    }
    const handle = ++this.#lastHandle
    const stage = encodeStage(root, end, this.#shape())
    plan.operations.push(['node', handle, parents, partitions, stage, stageName(root, end, this.#places())])
    return handle
  }
}

/** A node that passes its one parent on, so that the parent is a leaf of the stage. */
function wrapped(parent: Lineage): Lineage {
  return {
    type: 'united',
    id: -2,
    partitions: parent.partitions,
    partitioner: null,
    storageLevel: null,
    parents: [parent],
    groups: Array.from({ length: parent.partitions }, (_, partition) => [{ parent: 0, partition }]),
  }
}

export function storageLevelValue(level: StorageLevel): StorageLevelValue {
  return [level.useDisk, level.useMemory, level.useOffHeap, level.deserialized, level.replication]
}
