/** What an RDD is beneath its operations: a lineage node in a context, which can be kept, cut, named and looked at. */
import { MillraceError } from '../errors.js'
import type { JobRunner } from './job-runner.js'
import type { JobScopes } from './job-scope.js'
import { ancestorsOf, type Lineage, parentsOf } from './lineage.js'
import type { OutsideAccess } from './outside-access.js'
import type { Partitioner } from './partitioner.js'
import type { SparkContext } from './spark-context.js'
import { StorageLevel } from './storage-level.js'

/** What an RDD needs of the SparkContext it belongs to. */
export interface RddContext {
  readonly runner: JobRunner
  readonly outside: OutsideAccess
  /** The number for the next RDD. */
  nextRddId(): number
  /** On whose behalf jobs run. */
  readonly jobs: JobScopes
  /** False when output may always replace what is there. */
  readonly validatesOutput: boolean
  /** How many times more partitions `take` looks into when those before held too few records. */
  readonly takeScaleUp: number
  /** How many partitions a shuffle of RDDs makes when nobody says; null: as many as the largest of them has. */
  readonly shufflePartitions: number | null
  /** Throws `CONTEXT_STOPPED` once the context has stopped. */
  assertRunning(): void
  readonly checkpointDirectory: string | null
  /** RDDs that the next job over them checkpoints, by their lineage. */
  readonly askedCheckpoints: Map<Lineage, LineageHandle>
}

/** How an RDD depends on another. */
export interface RddDependency {
  readonly type: 'narrow' | 'shuffle'
  readonly rddId: number
}

export abstract class LineageHandle {
  /** @internal */
  readonly context: RddContext
  /** How this RDD comes about. @internal */
  lineage: Lineage
  #name: string | null = null
  /** Where this RDD is checkpointed to once that is asked for: a directory, or null for memory. */
  #checkpointTo: string | null = null

  /** @internal */
  constructor(context: RddContext, lineage: Lineage) {
    this.context = context
    this.lineage = lineage
  }

  /** The number of this RDD, unique in its context. */
  get id(): number {
    return this.lineage.id
  }

  /** The name given with `setName`, or null. */
  get name(): string | null {
    return this.#name
  }

  /** Names this RDD, for `toDebugString`. */
  setName(name: string): this {
    this.#name = name
    return this
  }

  /** How many partitions it has. */
  get numPartitions(): number {
    return this.lineage.partitions
  }

  /** `numPartitions`, under Spark's name. */
  getNumPartitions(): number {
    return this.lineage.partitions
  }

  /** The SparkContext this RDD belongs to: for making other RDDs beside it, inside `foreachRDD` for example. */
  get sparkContext(): SparkContext {
    return this.context as SparkContext
  }

  /** The RDDs this one is made of, by their numbers; `'shuffle'` where every partition may need records of all of theirs. */
  get dependencies(): readonly RddDependency[] {
    const type = this.lineage.type === 'partitioned' ? 'shuffle' : 'narrow'
    return parentsOf(this.lineage).map(({ id }) => ({ type, rddId: id }))
  }

  /** The numbers of the executors that hold the received blocks of a partition; none when it is made of anything else. */
  preferredLocations(partition: number): readonly number[] {
    const { lineage } = this
    if (lineage.type !== 'blocks') return []
    return [...new Set((lineage.blocks[partition] ?? []).flatMap(({ locations }) => locations))]
  }

  /** Where records lie by key, or null when that is not known. */
  get partitioner(): Partitioner | null {
    return this.lineage.partitioner
  }

  /**
   * Keeps the partitions when first computed, `MEMORY_ONLY` unless told otherwise. A second, different level throws `UNSUPPORTED`.
   *
   * ```ts
   * import { StorageLevel, StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'kept', batchInterval: '1s' })
   * const squares = sparkContext.range(1000).map((n) => n * n).persist(StorageLevel.MEMORY_AND_DISK)
   * ```
   */
  persist(level: StorageLevel = StorageLevel.MEMORY_ONLY): this {
    const current = this.lineage.storageLevel
    if (current !== null && !current.equals(level)) {
      throw new MillraceError(
        'UNSUPPORTED',
        `RDD ${this.id} is already kept as ${current}; unpersist it before choosing ${level}.`,
      )
    }
    this.lineage.storageLevel = level
    return this
  }

  /** `persist()` at the default level. */
  cache(): this {
    return this.persist()
  }

  /** Drops the kept partitions. */
  unpersist(): this {
    if (this.lineage.storageLevel !== null) this.context.runner.unpersist(this.id)
    this.lineage.storageLevel = null
    return this
  }

  /** Where partitions are kept; `NONE` when they are not. */
  getStorageLevel(): StorageLevel {
    return this.lineage.storageLevel ?? StorageLevel.NONE
  }

  /**
   * Has the first job on this RDD, or on one made of it, write it to the directory given to `setCheckpointDir`, after which its history is forgotten.
   * The partitions are computed once more for it unless they are kept. RDDs made from this one before that keep the history.
   * Throws `CHECKPOINT_DIRECTORY_REQUIRED` when no directory was set.
   */
  checkpoint(): void {
    const directory = this.context.checkpointDirectory
    if (directory === null) {
      throw new MillraceError(
        'CHECKPOINT_DIRECTORY_REQUIRED',
        'RDD.checkpoint needs a directory: call sparkContext.setCheckpointDir(directory) first.',
      )
    }
    this.#checkpointTo = `${directory}/rdd-${this.id}`
    this.context.askedCheckpoints.set(this.lineage, this)
  }

  /** Has the first job on this RDD keep its partitions where they were computed and forget its history. What is lost then cannot be computed again. */
  localCheckpoint(): this {
    this.#checkpointTo = null
    this.context.askedCheckpoints.set(this.lineage, this)
    return this
  }

  /** True once the history has been cut. */
  get isCheckpointed(): boolean {
    return this.lineage.type === 'checkpointed'
  }

  /** The directory this RDD was checkpointed to, or null. */
  getCheckpointFile(): string | null {
    return this.lineage.type === 'checkpointed' ? this.lineage.directory : null
  }

  /** The history as text, a line for every RDD, indented at every shuffle, as Spark prints it. */
  toDebugString(): string {
    const lines: string[] = []
    const visit = (node: Lineage, indent: string, name: string | null): void => {
      const kept = node.storageLevel === null ? '' : ` [${node.storageLevel.description}]`
      lines.push(`${indent}(${node.partitions}) ${describe(node)}[${node.id}]${name === null ? '' : ` ${name}`}${kept}`)
      for (const parent of parentsOf(node))
        visit(parent, node.type === 'partitioned' ? `${indent} +-` : `${indent} |`, null)
    }
    visit(this.lineage, '', this.#name)
    return lines.join('\n')
  }

  /** Cuts the history of this RDD and of those it is made of where that was asked for. Called after every job. @internal */
  protected async checkpointAsked(): Promise<void> {
    const { askedCheckpoints, runner } = this.context
    if (askedCheckpoints.size === 0) return
    for (const node of ancestorsOf(this.lineage)) {
      const asked = askedCheckpoints.get(node)
      if (asked === undefined) continue
      askedCheckpoints.delete(node)
      asked.lineage = await this.context.jobs.run('checkpoint', (job) =>
        runner.checkpoint(node, asked.#checkpointTo, job),
      )
    }
  }
}

function describe(node: Lineage): string {
  return node.type === 'mapped' ? node.operation.type : node.type
}
