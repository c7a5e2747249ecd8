/**
 * Computes one partition of a lineage, up to the shuffles and cached partitions beneath it. Narrow operations above a source
 * become one fused loop; the loop is driven in slices so that the thread stays responsive. Only `iterate` and `zip`, where
 * the user asked for an iterator, pull their input.
 */
import { assertNever, MillraceError } from '../errors.js'
import { ChunkedRecords } from '../rdd/chunked-records.js'
import type { BlockInfo, CheckpointedLineage, Lineage, NarrowOperation, PartitionedLineage } from '../rdd/lineage.js'
import { isOfUser, operatorFailure, RecordError } from '../rdd/operator-failure.js'
import { Pacer } from '../rdd/pacer.js'
import { joined, type RecordArrays, RecordCollector } from '../rdd/record-arrays.js'
import { noRecord } from '../rdd/reduction.js'
import type { TaskFunction } from '../rdd/task-function.js'
import { workOfTasks } from '../receiver/work-of-tasks.js'
import { FoldState, type FusedLoop, type FusedOperation, fusedLoop, type Terminal } from './fused-loop.js'
import { InputCount } from './input-count.js'
import { type Opened, PulledRecords } from './pulled-records.js'

/** Records in arrays of some hundreds: how every source hands out its partition. */
export type Chunks = Iterable<readonly unknown[]>

/** Where a task finds what is not computed by the task itself. */
export interface TaskInputs {
  /** The records of one received block. Rejects with `BLOCK_NOT_FOUND` when no copy is left. */
  readBlock(block: BlockInfo): Chunks | Promise<Chunks>
  /** The records a shuffle brought to this partition, combined if the shuffle combines. */
  readShuffle(shuffle: PartitionedLineage, partition: number): Promise<Chunks>
  /** A partition kept earlier, or null. */
  readCached(lineage: Lineage, partition: number): readonly unknown[] | null | Promise<readonly unknown[] | null>
  /** Keeps a partition as `lineage.storageLevel` says. */
  cache(lineage: Lineage, partition: number, records: readonly unknown[]): void | Promise<void>
  readCheckpoint(lineage: CheckpointedLineage, partition: number): Promise<Chunks>
}

/** The records of one partition; what it reads is added to `count`. */
export function computePartition(
  lineage: Lineage,
  partition: number,
  inputs: TaskInputs,
  count: InputCount = new InputCount(),
): Promise<RecordArrays> {
  return new TaskRunner(inputs, count).collect(lineage, partition)
}

/** Where the records of a partition go, and how they leave the loop for there. */
export interface RecordSink {
  readonly terminal: Terminal
  readonly out: unknown
}

/** Runs one partition into `sink`; what it reads is added to `count`. */
export async function computeInto(
  { terminal, out }: RecordSink,
  lineage: Lineage,
  partition: number,
  inputs: TaskInputs,
  count: InputCount = new InputCount(),
): Promise<void> {
  await new TaskRunner(inputs, count).drive(lineage, partition, terminal, out)
}

/** Part of a partition: where its records come from, and the fused operations above that. A united partition has several. */
interface Branch {
  readonly open: () => Chunks | Promise<Chunks>
  readonly operations: readonly FusedOperation[]
}

/** How long a slice of a partition is meant to take, about. */
const sliceMs = 0.2
/** Records of a slice at most: what one adds to an array of results goes there whole, and is to be of moderate length too. */
const sliceMax = 1 << 14

class TaskRunner {
  readonly #inputs: TaskInputs
  readonly #count: InputCount
  readonly #pacer = new Pacer()

  constructor(inputs: TaskInputs, count: InputCount) {
    this.#inputs = inputs
    this.#count = count
  }

  async collect(lineage: Lineage, partition: number): Promise<RecordArrays> {
    const collector = new RecordCollector()
    await this.drive(lineage, partition, { type: 'collect' }, collector)
    return collector.arrays
  }

  /** Runs the partition to its end, slice by slice. */
  async drive(lineage: Lineage, partition: number, terminal: Terminal, out: unknown): Promise<void> {
    for (const { open, operations } of this.#branches(lineage, partition)) {
      await this.#runSlices(await open(), fusedLoop(operations, terminal), out)
    }
    const work = workOfTasks()
    if (work !== null) await work
  }

  async #runSlices(chunks: Chunks, loop: FusedLoop, out: unknown): Promise<void> {
    const pacer = this.#pacer
    // How many records make a slice is not known beforehand: it starts small and follows the clock. Short slices first of all: what
    // V8 compiles while one runs is entered with the next.
    let size = 64
    for (const chunk of chunks) {
      for (let from = 0; from < chunk.length; ) {
        const to = Math.min(from + size, chunk.length)
        const start = performance.now()
        loop(chunk, from, to, out)
        const tookMs = performance.now() - start
        if (tookMs < sliceMs / 2 && to - from === size) size = Math.min(size * 2, sliceMax)
        else if (tookMs > sliceMs * 2) size = Math.max(size >> 1, 1)
        from = to
        if (pacer.isDue) await pacer.turn()
      }
    }
  }

  #branches(lineage: Lineage, partition: number): Branch[] {
    const operations: FusedOperation[] = []
    let node = lineage
    while (node.type === 'mapped' && node.storageLevel === null && isFused(node.operation)) {
      operations.unshift(node.operation)
      node = node.parents[0]!
    }
    const bottom = node
    if (bottom.type !== 'united' || bottom.storageLevel !== null) {
      return [{ open: () => this.#open(bottom, partition), operations }]
    }
    return bottom.groups[partition]!.flatMap((ref) =>
      this.#branches(bottom.parents[ref.parent]!, ref.partition).map((branch) => ({
        open: branch.open,
        operations: [...branch.operations, ...operations],
      })),
    )
  }

  /** The chunks of a node that is not fused away. */
  async #open(node: Lineage, partition: number): Promise<Chunks> {
    if (node.storageLevel !== null) {
      const cached = await this.#inputs.readCached(node, partition)
      if (cached !== null) return this.#count.chunks([cached])
      const records = joined(await this.collect({ ...node, storageLevel: null }, partition))
      await this.#inputs.cache(node, partition, records)
      return [records]
    }
    switch (node.type) {
      case 'parallelized':
        return this.#count.chunks([node.slices[partition]!])
      case 'blocks':
        return this.#count.chunks(await this.#blocks(node.blocks[partition]!))
      case 'partitioned':
        return this.#count.chunks(await this.#inputs.readShuffle(node, partition))
      case 'checkpointed':
        return this.#count.chunks(await this.#inputs.readCheckpoint(node, partition))
      case 'united':
        throw new MillraceError('INTERNAL', 'A united node is read through its parents.')
      case 'mapped':
        return this.#openMapped(node.parents, node.operation, partition)
      default:
        return assertNever(node)
    }
  }

  async #blocks(blocks: readonly BlockInfo[]): Promise<Chunks> {
    const opened: Chunks[] = []
    for (const block of blocks) {
      opened.push(await this.#inputs.readBlock(block))
      this.#count.bytes += block.bytes
    }
    return (function* (): Generator<readonly unknown[]> {
      for (const chunks of opened) yield* chunks
    })()
  }

  async #openMapped(parents: readonly Lineage[], operation: NarrowOperation, partition: number): Promise<Chunks> {
    switch (operation.type) {
      case 'fold': {
        const state = new FoldState(operation.zero.call())
        await this.drive(parents[0]!, partition, { type: 'fold', add: operation.add }, state)
        if (operation.finish === null) return [[state.value]]
        const { finish } = operation
        return this.#results(finish, [], async () => [finish.call(state.value)])
      }
      case 'iterate': {
        const input = await this.#pull(parents[0]!, partition)
        return this.#results(operation.f, [input], () => operation.f.call(input.records, partition))
      }
      case 'zip': {
        const inputs: PulledRecords[] = []
        for (const parent of parents) inputs.push(await this.#pull(parent, partition))
        const sides = inputs.map(({ records }) => records)
        return this.#results(operation.f, inputs, () => operation.f.call(sides, partition))
      }
      default:
        throw new MillraceError('INTERNAL', `A ${operation.type} is fused, not opened.`)
    }
  }

  /**
   * What a function makes of records that it pulls, in chunks. What it throws, at once or when its results are asked for, names its
   * operator; where it has one input, the record it was given last is shown.
   */
  async #results(f: TaskFunction, inputs: readonly PulledRecords[], call: () => unknown): Promise<Chunks> {
    if (!isOfUser(f)) return chunked((await call()) as Iterable<unknown>)
    const failure = (thrown: unknown): unknown => {
      const error = thrown instanceof RecordError ? thrown.error : thrown
      if (inputs.some((input) => input.failure === error)) return error
      return operatorFailure(thrown, f, inputs.length === 1 ? inputs[0]!.last : noRecord)
    }
    try {
      return failingWith(failure, chunked((await call()) as Iterable<unknown>))
    } catch (thrown) {
      throw failure(thrown)
    }
  }

  /** The records of a partition one at a time, computed as they are asked for. */
  async #pull(lineage: Lineage, partition: number): Promise<PulledRecords> {
    const opened: Opened[] = []
    for (const { open, operations } of this.#branches(lineage, partition)) {
      opened.push({
        chunks: await open(),
        loop: operations.length === 0 ? null : fusedLoop(operations, { type: 'collect' }),
      })
    }
    return new PulledRecords(opened)
  }
}

function isFused(operation: NarrowOperation): operation is FusedOperation {
  return operation.type !== 'fold' && operation.type !== 'iterate' && operation.type !== 'zip'
}

/** Chunks, with another error in the place of what making them throws. */
function* failingWith(failure: (thrown: unknown) => unknown, chunks: Chunks): Generator<readonly unknown[]> {
  try {
    yield* chunks
  } catch (thrown) {
    throw failure(thrown)
  }
}

/** The result of a user's iterator function in chunks. */
function* chunked(records: Iterable<unknown>): Generator<readonly unknown[]> {
  if (Array.isArray(records)) {
    yield records
    return
  }
  if (records instanceof ChunkedRecords) {
    yield* records.chunks
    return
  }
  let chunk: unknown[] = []
  for (const record of records) {
    chunk.push(record)
    if (chunk.length === 256) {
      yield chunk
      chunk = []
    }
  }
  if (chunk.length > 0) yield chunk
}
