/** SparkContext: makes RDDs from data at hand and runs their jobs. A small batch engine by itself, and the ground a StreamingContext stands on. */
import { MillraceError } from '../errors.js'
import { type Accumulator, AccumulatorRegistry, CollectionAccumulator, NumberAccumulator } from './accumulator.js'
import { Broadcast } from './broadcast.js'
import { unite } from './combination.js'
import { JobControl } from './job-control.js'
import type { Application, JobRunner } from './job-runner.js'
import type { Lineage } from './lineage.js'
import type { LineageHandle, RddContext } from './lineage-handle.js'
import type { FileSplit, OutsideAccess } from './outside-access.js'
import type { Item, Pair } from './pair.js'
import { assertPartitions } from './partitioner.js'
import { RDD } from './rdd.js'
import { libraryFunction, type TaskFunction } from './task-function.js'

/** Settings of a SparkContext, each a configuration key. @internal */
export interface SparkContextSettings {
  /** `spark.rdd.limit.scaleUpFactor` */
  readonly takeScaleUp: number
  /** What `spark.default.parallelism` says, or null. */
  readonly shufflePartitions: number | null
  /** `spark.hadoop.validateOutputSpecs` */
  readonly validatesOutput: boolean
}

/** What a SparkContext is given to work with. @internal */
export interface SparkContextParts {
  readonly runner: JobRunner
  /** The application as a cluster knows it, where there is one. */
  readonly application: () => Application | null
  readonly outside: OutsideAccess
  readonly settings: SparkContextSettings
  /** Stops the streams, if any run, and the engine. */
  readonly stop: () => Promise<void>
}

/**
 * Makes RDDs and runs their jobs. Every StreamingContext has one, `ssc.sparkContext`, which also works without any stream.
 *
 * ```ts
 * import { StreamingContext } from 'millrace'
 * const { sparkContext } = new StreamingContext({ appName: 'words', batchInterval: '1s' })
 * const words = sparkContext.parallelize(['to', 'be', 'or', 'not', 'to', 'be'])
 * await words.map((word) => [word, 1]).reduceByKey((a, b) => a + b).lookup('be') // [2]
 * await sparkContext.stop()
 * ```
 */
export class SparkContext extends JobControl implements RddContext {
  readonly appName: string
  /** @internal */
  readonly runner: JobRunner
  /** @internal */
  readonly outside: OutsideAccess
  /** @internal */
  readonly askedCheckpoints: Map<Lineage, LineageHandle> = new Map()
  readonly #settings: SparkContextSettings
  readonly #application: () => Application | null
  readonly #stop: () => Promise<void>
  #nextRddId = 0
  #nextBroadcastId = 0
  #checkpointDirectory: string | null = null
  #isStopped = false

  /** @internal */
  constructor(appName: string, { runner, application, outside, settings, stop }: SparkContextParts) {
    super()
    this.appName = appName
    this.#application = application
    this.runner = runner
    this.outside = outside
    this.#settings = settings
    this.#stop = stop
  }

  /** Stops the engine: its threads, processes and files, and before them the streams of this context if they run. Actions reject with `CONTEXT_STOPPED` from then on. */
  async stop(): Promise<void> {
    await this.#stop()
  }

  /** The application's id on the cluster, such as `app-20260101120000-0000`; null where there is no cluster, and until the first job or `ssc.start()`. */
  get applicationId(): string | null {
    return this.#application()?.id ?? null
  }

  /** The address of Spark's own page of this application; null where there is no cluster or no page (`spark.ui.enabled=false`), and until the first job or `ssc.start()`. */
  get uiWebUrl(): string | null {
    return this.#application()?.uiUrl ?? null
  }

  /** True after `stop`, and after `ssc.stop()` unless that was told to leave this context. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** The engine is gone. @internal */
  markStopped(): void {
    this.#isStopped = true
  }

  /** @internal */
  assertRunning(): void {
    if (!this.#isStopped) return
    throw new MillraceError('CONTEXT_STOPPED', `The context of ${this.appName} has been stopped; no jobs run any more.`)
  }

  /** @internal */
  get takeScaleUp(): number {
    return this.#settings.takeScaleUp
  }

  /** False for the jobs of streams, whose batches may run again. @internal */
  get validatesOutput(): boolean {
    return this.#settings.validatesOutput && this.jobs.batchTime === null
  }

  /** @internal */
  get shufflePartitions(): number | null {
    return this.#settings.shufflePartitions
  }

  /**
   * How many partitions `parallelize` and the shuffles of streams make when nobody says: the number of executor threads, or
   * `spark.default.parallelism`. A shuffle of RDDs makes as many as the largest of them has unless that key is set.
   */
  get defaultParallelism(): number {
    return this.runner.defaultParallelism
  }

  /**
   * The records as an RDD of `partitions` slices; slice i takes the records from `i * length / partitions` on, as Spark's does.
   * Throws `ILLEGAL_ARGUMENT` unless `partitions` is a whole number from 1 up.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'numbers', batchInterval: '1s' })
   * await sparkContext.parallelize([1, 2, 3, 4], 2).glom().collect() // [[1, 2], [3, 4]]
   * ```
   */
  parallelize<T extends Item>(records: readonly T[], partitions: number = this.defaultParallelism): RDD<T> {
    assertPartitions(partitions)
    const edge = (i: number): number => Math.floor((i * records.length) / partitions)
    const slices = Array.from({ length: partitions }, (_, i) => records.slice(edge(i), edge(i + 1)))
    return this.fromSlices(slices)
  }

  /** The numbers from `start` up to, not including, `end`, every `step`; with one number, from 0 up to it. They are made by the tasks. Throws `ILLEGAL_ARGUMENT` for a step of 0. */
  range(end: number): RDD<number>
  range(start: number, end: number, step?: number, partitions?: number): RDD<number>
  range(startOrEnd: number, end?: number, step = 1, partitions: number = this.defaultParallelism): RDD<number> {
    assertPartitions(partitions)
    if (!(Math.abs(step) > 0)) throw new MillraceError('ILLEGAL_ARGUMENT', `The step of a range must not be ${step}.`)
    const start = end === undefined ? 0 : startOrEnd
    const count = Math.max(0, Math.ceil(((end ?? startOrEnd) - start) / step))
    const edge = (i: number): number => Math.floor((i * count) / partitions)
    const parts = Array.from({ length: partitions }, (_, i) => [[start + edge(i) * step, edge(i + 1) - edge(i)]])
    return this.fromSlices<unknown>(parts).mapped<number>({ type: 'iterate', f: countUp(step) })
  }

  /** An RDD without partitions, so without records. */
  emptyRDD<T>(): RDD<T> {
    return this.fromSlices<T>([])
  }

  // Files

  /**
   * The lines of text files, UTF-8, `.gz` ones too: of a file, of the files in a directory, of those a pattern (`*`, `?`, `[…]`,
   * `{a,b}`) matches, or of several with commas between. Files are listed now and read by the tasks; a large file is read
   * in parts. Throws `FILE_NOT_FOUND`.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'files', batchInterval: '1s' })
   * await sparkContext.parallelize(['b', 'a']).saveAsTextFile('words')
   * await sparkContext.textFile('words').first() // b
   * ```
   */
  textFile(path: string, minPartitions: number = this.defaultMinPartitions): RDD<string> {
    return this.#read(this.outside.splits(path, minPartitions), this.outside.readLines())
  }

  /** `[path, text]` for each file; see `textFile` for paths. */
  wholeTextFiles(path: string, minPartitions: number = this.defaultMinPartitions): RDD<Pair<string, string>> {
    return this.#read(this.outside.files(path), this.outside.readWholeText(), minPartitions)
  }

  /** `[path, bytes]` for each file, as it is on the disk. */
  binaryFiles(path: string, minPartitions: number = this.defaultMinPartitions): RDD<Pair<string, Uint8Array>> {
    return this.#read(this.outside.files(path), this.outside.readWholeBytes(), minPartitions)
  }

  /** Pieces of `recordLength` bytes. A file that is no multiple of it fails the job. */
  binaryRecords(path: string, recordLength: number): RDD<Uint8Array> {
    assertRecordLength(recordLength)
    return this.#read(this.outside.files(path), this.outside.readRecords(recordLength))
  }

  /** What `saveAsObjectFile` wrote. `T` is for the caller to know. */
  objectFile<T>(path: string): RDD<T> {
    return this.#read(this.outside.files(path), this.outside.readObjects())
  }

  /** Files in as many partitions, or in `partitions` if that is fewer. */
  #read<T>(splits: readonly FileSplit[], f: TaskFunction, partitions: number = splits.length): RDD<T> {
    const files = this.fromSlices<unknown>(splits.map((split) => [split]))
    const grouped = partitions < splits.length ? files.coalesce(partitions) : files
    return grouped.mapped<T>({ type: 'iterate', f })
  }

  /** How many parts a file is read in at least when nobody says: 2, or 1 when there is no more to run on. */
  get defaultMinPartitions(): number {
    return Math.min(this.defaultParallelism, 2)
  }

  // Shared values

  /** A value for functions to read. Throws `ILLEGAL_ARGUMENT` for an RDD, whose records are not here. */
  broadcast<T>(value: T): Broadcast<T> {
    this.assertRunning()
    if (value instanceof RDD) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        'An RDD cannot be broadcast; collect it first and broadcast its records.',
      )
    }
    return new Broadcast(this.#nextBroadcastId++, value)
  }

  /** A registered accumulator of numbers that starts from 0. */
  longAccumulator(name: string | null = null): NumberAccumulator {
    return this.register(new NumberAccumulator(), name)
  }

  /** `longAccumulator`; numbers are what they are. */
  doubleAccumulator(name: string | null = null): NumberAccumulator {
    return this.longAccumulator(name)
  }

  /** A registered accumulator of everything that is added. */
  collectionAccumulator<T>(name: string | null = null): CollectionAccumulator<T> {
    return this.register(new CollectionAccumulator<T>(), name)
  }

  /** Makes an accumulator known, so that what tasks add to it arrives. Throws `ILLEGAL_STATE` the second time. */
  register<A extends Accumulator<never, unknown>>(accumulator: A, name: string | null = null): A {
    this.accumulators.add(accumulator, name)
    return accumulator
  }

  /** @internal */
  readonly accumulators: AccumulatorRegistry = new AccumulatorRegistry()

  /** The records of all of them; see `RDD.union`. Without any, an empty RDD. */
  union<T>(rdds: readonly RDD<T>[]): RDD<T> {
    return rdds.length === 0 ? this.emptyRDD<T>() : unite(rdds)
  }

  /** An RDD with exactly these partitions. @internal */
  fromSlices<T>(slices: readonly (readonly T[])[]): RDD<T> {
    const id = this.nextRddId()
    return this.rdd({
      type: 'parallelized',
      id,
      partitions: slices.length,
      partitioner: null,
      storageLevel: null,
      slices,
    })
  }

  /** A handle on a lineage node of this context. @internal */
  rdd<T>(lineage: Lineage): RDD<T> {
    return new RDD(this, lineage)
  }

  /** @internal */
  nextRddId(): number {
    return this.#nextRddId++
  }

  /** What `nextRddId` will give; every RDD there is has a lower one. @internal */
  get firstFreeRddId(): number {
    return this.#nextRddId
  }

  /** @internal */
  get checkpointDirectory(): string | null {
    return this.#checkpointDirectory
  }

  /** The directory `RDD.checkpoint` writes to, or null when none was set. */
  getCheckpointDir(): string | null {
    return this.#checkpointDirectory
  }

  /** Where `RDD.checkpoint` writes. */
  setCheckpointDir(directory: string): void {
    this.#checkpointDirectory = directory
  }
}

/** Throws `ILLEGAL_ARGUMENT` unless the length is a whole number from 1 up. @internal */
export function assertRecordLength(recordLength: number): void {
  if (Number.isInteger(recordLength) && recordLength >= 1) return
  throw new MillraceError(
    'ILLEGAL_ARGUMENT',
    `The record length must be a whole number from 1 up, not ${recordLength}.`,
  )
}

const countUp = libraryFunction('countUp', (step: number) => {
  return function* (parts: Iterable<Pair<number, number>>) {
    for (const [start, count] of parts) for (let i = 0; i < count; i++) yield start + i * step
  }
})
