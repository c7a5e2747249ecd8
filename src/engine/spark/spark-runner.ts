/** Runs the jobs of a Millrace program on Spark: plans each, sends it, reads back its chunks; functions of `foreachRDD` run here. */
import { MillraceError } from '../../errors.js'
import type { AccumulatorUpdate } from '../../rdd/accumulator.js'
import type { JobDescription, JobRunner } from '../../rdd/job-runner.js'
import type { Lineage, MappedLineage, PartitionedLineage } from '../../rdd/lineage.js'
import { Pacer } from '../../rdd/pacer.js'
import { joined, type RecordArrays } from '../../rdd/record-arrays.js'
import { canTravel } from '../../rdd/task-function.js'
import { deserializeRecords } from '../../storage/record-serializer.js'
import type { Time } from '../../time.js'
import { warnOfDriver } from '../driver-functions.js'
import { readBuckets, shuffleWriter } from '../shuffle-writer.js'
import { taskError } from '../task-error.js'
import { computeInto, computePartition, type TaskInputs } from '../task-runner.js'
import type { BridgeConnection, CallResult } from './bridge-connection.js'
import { fromChunk } from './chunk.js'
import type { Operation, Value } from './protocol.js'
import type { SparkPlanner } from './spark-planner.js'
import { functionsOf, functionsOfShuffle } from './stage.js'

export interface SparkRunnerOptions {
  /** The link to Spark, which the first call opens. */
  readonly connect: () => Promise<BridgeConnection>
  readonly planner: SparkPlanner
  /** How many partitions a shuffle makes when nobody says. */
  readonly parallelism: () => number
  /** Takes what finished tasks added to accumulators. */
  readonly accumulated: (updates: readonly AccumulatorUpdate[]) => void
}

export class SparkRunner implements JobRunner {
  readonly #options: SparkRunnerOptions
  readonly #planner: SparkPlanner
  /** The batches the JVM serves calls for now; their jobs run on its batch thread. */
  readonly #openBatches: ReadonlySet<Time>
  /** True once there is a checkpoint: lost partitions are then computed from saved state and the receiver log. */
  needsHistory = false
  /** The last call outside a batch: they run one after another, since a later one may use an RDD an earlier one makes. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: SparkRunnerOptions, openBatches: ReadonlySet<Time>) {
    this.#options = options
    this.#planner = options.planner
    this.#openBatches = openBatches
  }

  get defaultParallelism(): number {
    return this.#options.parallelism()
  }

  async collect(lineage: Lineage, partitions: readonly number[] | null, job: JobDescription): Promise<RecordArrays[]> {
    const here = await this.#localized(lineage, job)
    const wanted = partitions ?? Array.from({ length: here.partitions }, (_, partition) => partition)
    if (wanted.length === 0) return []
    if (here.type === 'parallelized' && here.storageLevel === null) return wanted.map((at) => [[...here.slices[at]!]])
    const { operations, handle, temporary } = this.#planner.plan(here)
    const run: Operation[] = [jobOperation(job), ...operations, ['collect', handle, wanted]]
    const { chunks, value } = await this.#call(run, job.batchTime, temporary)
    this.#takeReports(value)
    const records = new Map<number, unknown[][]>(wanted.map((partition) => [partition, []]))
    for (const { partition, bytes } of chunks) records.get(partition)!.push(fromChunk(bytes))
    return wanted.map((partition) => records.get(partition)!)
  }

  checkpoint(lineage: Lineage, directory: string | null, job: JobDescription): Promise<Lineage> {
    // Whoever reads the kept partitions of one that stays in the executors reads the copy from now on: it has no history.
    return this.#copied(lineage, directory, directory === null, job)
  }

  /**
   * Writes the partitions to `directory` and keeps them in the executors too; resolves to the same records without history. Whoever reads the
   * kept partitions of `lineage` reads these from now on.
   */
  cut(lineage: Lineage, directory: string, job: JobDescription): Promise<Lineage> {
    return this.#copied(lineage, directory, true, job)
  }

  async #copied(lineage: Lineage, directory: string | null, isKept: boolean, job: JobDescription): Promise<Lineage> {
    const here = await this.#localized(lineage, job)
    const { operations, handle, temporary } = this.#planner.plan(here)
    const copy = this.#planner.newHandle()
    const run: Operation[] = [jobOperation(job), ...operations, ['checkpoint', copy, handle, directory, isKept]]
    this.#takeReports((await this.#call(run, job.batchTime, temporary)).value)
    const { id, partitions, partitioner } = lineage
    const node = {
      type: 'checkpointed',
      id,
      partitions,
      partitioner,
      storageLevel: null,
      directory,
      rddId: id,
    } as const
    this.#planner.adopt(node, copy)
    if (isKept) this.#release(this.#planner.replaceKept(id, copy))
    return node
  }

  unpersist(rddId: number): void {
    this.#release(this.#planner.forgetKept(rddId))
  }

  /** What the finished tasks added to accumulators. */
  #takeReports(reports: Value): void {
    for (const report of reports as readonly Uint8Array[]) {
      this.#options.accumulated(deserializeRecords(report) as AccumulatorUpdate[])
    }
  }

  #release(handle: number | null): void {
    if (handle === null) return
    const release: Operation[] = [
      ['unpersist', handle],
      ['drop', [handle]],
    ]
    // Nobody waits for it; a bridge that is closed has dropped everything anyway.
    this.#call(release, null, []).catch(() => {})
  }

  #call(operations: readonly Operation[], time: Time | null, temporary: readonly number[]): Promise<CallResult> {
    const batch = time !== null && this.#openBatches.has(time) ? time : null
    const run = async (): Promise<CallResult> => {
      const connection = await this.#options.connect()
      try {
        return await connection.call(operations, batch)
      } finally {
        if (temporary.length > 0) connection.call([['drop', temporary]], batch).catch(() => {})
      }
    }
    if (batch !== null) return run()
    const called = this.#last.then(run)
    this.#last = called.catch(() => {})
    return called
  }

  /**
   * The same records by a lineage whose functions can all travel: what only this process can compute (functions given inside
   * `foreachRDD`) is computed here, and its result goes on as records the driver holds. Range bounds are filled in on the way.
   */
  async #localized(lineage: Lineage, job: JobDescription, seen: Map<Lineage, Lineage> = new Map()): Promise<Lineage> {
    const known = seen.get(lineage)
    if (known !== undefined) return known
    const localized = await this.#localize(lineage, job, seen)
    seen.set(lineage, localized)
    return localized
  }

  async #localize(lineage: Lineage, job: JobDescription, seen: Map<Lineage, Lineage>): Promise<Lineage> {
    switch (lineage.type) {
      case 'mapped': {
        const parents = await this.#localizedAll(lineage.parents, job, seen)
        if (functionsOf(lineage.operation).every(canTravel)) return same(lineage, parents)
        warnOfDriver(job)
        return this.#computeHere({ ...lineage, parents: await this.#collected(parents, job) })
      }
      case 'united':
        return same(lineage, await this.#localizedAll(lineage.parents, job, seen))
      case 'partitioned': {
        const parent = await this.#localized(lineage.parent, job, seen)
        const placed = await this.#withBounds(lineage, job)
        if (functionsOfShuffle(lineage).every(canTravel)) {
          return parent === lineage.parent && placed === lineage
            ? lineage
            : this.#shuffleFor(lineage, { ...placed, parent })
        }
        warnOfDriver(job)
        const [collected] = await this.#collected([parent], job)
        return this.#shuffleHere({ ...placed, parent: collected! })
      }
      default:
        return lineage
    }
  }

  /** One node for a shuffle with its bounds, however many jobs ask: Spark then sorts once. */
  readonly #placed = new WeakMap<PartitionedLineage, PartitionedLineage>()

  #shuffleFor(original: PartitionedLineage, placed: PartitionedLineage): PartitionedLineage {
    const known = this.#placed.get(original)
    if (known !== undefined && known.parent === placed.parent) return known
    this.#placed.set(original, placed)
    return placed
  }

  async #localizedAll(
    parents: readonly Lineage[],
    job: JobDescription,
    seen: Map<Lineage, Lineage>,
  ): Promise<Lineage[]> {
    const localized: Lineage[] = []
    for (const parent of parents) localized.push(await this.#localized(parent, job, seen))
    return localized
  }

  async #withBounds(shuffle: PartitionedLineage, job: JobDescription): Promise<PartitionedLineage> {
    const { partitioner } = shuffle
    if (partitioner.type !== 'range' || partitioner.bounds !== null || partitioner.sampled === null) return shuffle
    const known = this.#placed.get(shuffle)
    if (known !== undefined) return known
    const sample = (await this.collect(partitioner.sampled, null, job)).flat(2)
    return { ...shuffle, partitioner: partitioner.bounded(sample) }
  }

  async #collected(parents: readonly Lineage[], job: JobDescription): Promise<Lineage[]> {
    const collected: Lineage[] = []
    for (const parent of parents) collected.push(held(parent, (await this.collect(parent, null, job)).map(joined)))
    return collected
  }

  async #computeHere(lineage: MappedLineage): Promise<Lineage> {
    const slices: unknown[][] = []
    for (let partition = 0; partition < lineage.partitions; partition++) {
      try {
        slices.push(joined(await computePartition({ ...lineage, storageLevel: null }, partition, nothingBeneath)))
      } catch (thrown) {
        throw taskError(thrown, partition)
      }
    }
    return held(lineage, slices)
  }

  async #shuffleHere(shuffle: PartitionedLineage): Promise<Lineage> {
    const outputs: ReturnType<ReturnType<typeof shuffleWriter>['buckets']>[] = []
    for (let partition = 0; partition < shuffle.parent.partitions; partition++) {
      const writer = shuffleWriter(shuffle)
      await computeInto(writer, shuffle.parent, partition, nothingBeneath)
      outputs.push(writer.buckets())
    }
    const slices: unknown[][] = []
    for (let partition = 0; partition < shuffle.partitions; partition++) {
      const buckets = outputs.map((output) => output[partition]!)
      slices.push((await readBuckets(shuffle, buckets, new Pacer())).flat())
    }
    return held(shuffle, slices)
  }
}

/** What is computed here stands on records the driver holds, and on nothing else. */
const nothingBeneath: TaskInputs = {
  readBlock: beneath,
  readShuffle: beneath,
  readCached: () => null,
  cache: () => {},
  readCheckpoint: beneath,
}

function beneath(): never {
  throw new MillraceError('INTERNAL', 'A function of the driver was given something that is on the executors.')
}

/** A node that stands for `lineage` with these records. */
function held({ id, partitions, partitioner }: Lineage, slices: unknown[][]): Lineage {
  return { type: 'parallelized', id, partitions, partitioner, storageLevel: null, slices }
}

/** `lineage` over these parents: itself when they are its own, so that what Spark keeps for it is found again. */
function same<L extends Lineage & { readonly parents: readonly Lineage[] }>(
  lineage: L,
  parents: readonly Lineage[],
): L {
  return parents.every((parent, i) => parent === lineage.parents[i]) ? lineage : { ...lineage, parents }
}

/** What Spark's UI shows of a job: `print at word-count.ts:12, batch 2026-…`, and the user's stack. */
function jobOperation({ name, callSite, batchTime }: JobDescription): Operation {
  const place = callSite?.place ?? null
  const site = place === null ? name : `${name} at ${place}`
  const description = batchTime === null ? site : `${site}, batch ${new Date(batchTime).toISOString()}`
  return ['job', description, site, [site, ...(callSite?.frames ?? [])].join('\n')]
}
