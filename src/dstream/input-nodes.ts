/** Where data enters the graph: streams of what a receiver stored, and streams whose RDDs the driver makes. */
import { MillraceError } from '../errors.js'
import type { RDD } from '../rdd/rdd.js'
import type { Time } from '../time.js'
import type { BatchBlocks, DStreamGraph, EarlierRun, InputNode } from './dstream-graph.js'
import { StreamNode } from './stream-node.js'

/** A stream of what one receiver stored. */
export class ReceiverNode extends StreamNode implements InputNode {
  readonly streamId: number
  readonly source: string
  readonly dependencies: readonly StreamNode[] = []

  /** `source` is the class of the receiver. */
  constructor(graph: DStreamGraph, source: string) {
    super(graph, 'receiverStream')
    this.source = source
    this.streamId = graph.inputs.push(this) - 1
  }

  get slideMs(): number {
    return this.graph.batchMs
  }

  /** The log has the blocks of the earlier run and which batch they belong to. */
  resume(): void {}

  toRemember(): null {
    return null
  }

  takeBatch(time: Time, blocks: BatchBlocks): void {
    const partitions = blocks.get(this.streamId) ?? []
    this.keep(
      time,
      this.graph.context.rdd({
        type: 'blocks',
        id: this.graph.context.nextRddId(),
        partitions: partitions.length,
        partitioner: null,
        storageLevel: null,
        streamId: this.streamId,
        blocks: partitions,
      }),
    )
  }

  leaveOut(time: Time): void {
    this.discard(time)
    this.keep(time, this.graph.context.emptyRDD())
  }

  /** Only times no batch was given for come here: they have no data. */
  protected compute(): RDD<unknown> {
    return this.graph.context.emptyRDD()
  }
}

/** How a stream the driver makes goes on in another process. */
export interface SourceMemory {
  /** What another process must know of the batches up to `time`; null when that is nothing new. Plain data. */
  toRemember(time: Time): unknown
  /** Takes up where an earlier run ended: from now on the batches of that run get what they got then. */
  resume(run: EarlierRun): void
}

/** The memory of a source that gives the same to every process. */
export const sameAlways: SourceMemory = { toRemember: () => null, resume: () => {} }

export interface GeneratedOptions {
  readonly operation: string
  /** Gives the RDD of each batch, or null for none; called in order, once for every batch that is wanted. */
  readonly next: (time: Time) => RDD<unknown> | null
  /** Null for a source whose data is gone with its process. */
  readonly memory: SourceMemory | null
}

/** A stream whose RDD of each batch the driver makes: queues, files, constants. */
export class GeneratedNode extends StreamNode implements InputNode {
  readonly streamId: number
  readonly source: string
  readonly dependencies: readonly StreamNode[] = []
  readonly #leftOut = new Set<Time>()
  /** Batches an earlier run completed: their RDDs are made only for those who look back at them. */
  readonly #completed = new Set<Time>()
  readonly #options: GeneratedOptions

  constructor(graph: DStreamGraph, options: GeneratedOptions) {
    super(graph, options.operation)
    this.source = options.operation
    this.streamId = graph.inputs.push(this) - 1
    this.#options = options
  }

  get slideMs(): number {
    return this.graph.batchMs
  }

  resume(run: EarlierRun): void {
    const { memory } = this.#options
    if (memory === null) {
      throw new MillraceError(
        'UNSUPPORTED',
        `${this.id} cannot go on from a checkpoint: what it gave was in the memory of the process that ended. Use a receiver or files for input that must survive, or begin with an empty checkpoint directory.`,
        { details: { operator: this.id } },
      )
    }
    for (const time of run.completed) this.#completed.add(time)
    memory.resume(run)
  }

  toRemember(time: Time): unknown {
    return this.#options.memory?.toRemember(time) ?? null
  }

  takeBatch(time: Time): void {
    // A batch that is recovered twice must not take twice what a function gives once.
    if (this.generated.has(time) || this.#leftOut.has(time) || this.#completed.has(time)) return
    const rdd = this.#options.next(time)
    if (rdd !== null) this.keep(time, rdd)
  }

  leaveOut(time: Time): void {
    this.discard(time)
    this.#leftOut.add(time)
  }

  protected compute(time: Time): RDD<unknown> | null {
    return this.#completed.has(time) ? this.#options.next(time) : null
  }
}
