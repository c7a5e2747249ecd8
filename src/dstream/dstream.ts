/** DStream: a typed handle on a node of the graph. Every operation makes a node and returns a handle on it. */
import { assertFunction } from '../arguments.js'
import { MillraceError } from '../errors.js'
import { streamPartitioning, unite } from '../rdd/combination.js'
import type { Condition, Item, Pair } from '../rdd/pair.js'
import type { RDD } from '../rdd/rdd.js'
import { countInOne, reduceInOne } from '../rdd/single-result.js'
import type { SparkContext } from '../rdd/spark-context.js'
import { StorageLevel } from '../rdd/storage-level.js'
import { type Duration, Time, toMilliseconds } from '../time.js'
import { rddsBetween, TransformedNode } from './nodes.js'
import { PairOperations } from './pair-operations.js'
import type { StreamNode } from './stream-node.js'

/**
 * A stream as a series of RDDs, one each batch. Operations describe what happens to every batch; nothing runs before the
 * context starts. Spark's DStream, with TypeScript's types.
 *
 * ```ts
 * import { StreamingContext, MqttStringReceiver } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'word-count', batchInterval: '1s' })
 * const lines = ssc.receiverStream(new MqttStringReceiver('mqtt://127.0.0.1:1883', 'plant/log'))
 * lines.flatMap((line) => line.split(' ')).map((word) => [word, 1]).reduceByKey((a, b) => a + b).print()
 * ```
 */
export class DStream<out T> extends PairOperations {
  /** @internal */
  readonly node: StreamNode

  /** @internal */
  constructor(node: StreamNode) {
    super()
    this.node = node
  }

  // One record at a time

  /** `f` of every record. */
  map<U extends Item>(f: (record: T) => U): DStream<U> {
    return this.derive('map', (rdd) => rdd.map(f))
  }

  /** The records for which `f` is true. */
  filter<S extends T>(f: (record: T) => record is S): DStream<S>
  filter(f: (record: T) => Condition): DStream<T>
  filter(f: (record: T) => Condition): DStream<T> {
    return this.derive('filter', (rdd) => rdd.filter(f))
  }

  /** All records of the iterables `f` returns. */
  flatMap<U extends Item>(f: (record: T) => Iterable<U>): DStream<U> {
    return this.derive('flatMap', (rdd) => rdd.flatMap(f))
  }

  // Whole partitions

  /** `f` of an iterator over each partition, empty ones too; `f` may be async. */
  mapPartitions<U extends Item>(
    f: (records: IterableIterator<T>) => Iterable<U> | Promise<Iterable<U>>,
    preservesPartitioning = false,
  ): DStream<U> {
    return this.derive('mapPartitions', (rdd) => rdd.mapPartitions(f, preservesPartitioning))
  }

  /** As `mapPartitions`, with the number of the partition first. */
  mapPartitionsWithIndex<U extends Item>(
    f: (partition: number, records: IterableIterator<T>) => Iterable<U> | Promise<Iterable<U>>,
    preservesPartitioning = false,
  ): DStream<U> {
    return this.derive('mapPartitionsWithIndex', (rdd) => rdd.mapPartitionsWithIndex(f, preservesPartitioning))
  }

  /** The records dealt out evenly to `partitions` partitions, through a shuffle. A batch without an RDD fails, as in Spark. */
  repartition(partitions: number): DStream<T> {
    return this.derive('repartition', (rdd) => rdd.repartition(partitions), 'fail')
  }

  /** Each partition as one array. */
  glom(): DStream<T[]> {
    return this.derive('glom', (rdd) => rdd.glom())
  }

  // Whole batches

  /** One record a batch: all its records made one by `f`. An empty batch gives none. */
  reduce(f: (a: T, b: T) => T): DStream<T> {
    return this.derive('reduce', (rdd) => reduceInOne(rdd, f))
  }

  /** One record a batch: how many it has, 0 for an empty one. */
  count(): DStream<number> {
    return this.derive('count', (rdd) => countInOne(rdd), 'fail')
  }

  /** Each distinct record with the number of times it occurs in the batch. */
  countByValue(partitions?: number): DStream<Pair<T, number>> {
    return this.derive('countByValue', (rdd) => {
      const ones = rdd.map((record): Pair<T, number> => [record, 1])
      return ones.reduceByKey((a, b) => a + b, streamPartitioning([ones], partitions))
    })
  }

  /** The records of both streams, which must have the same slide. A batch in which one has no RDD fails. */
  union<U extends Item>(...others: DStream<U>[]): DStream<T | U> {
    return uniteStreams<T | U>([this, ...others])
  }

  /**
   * Any RDD code, each batch: `f` is called on the driver with the RDD and the time of the batch and returns another RDD.
   * It must be synchronous, and give functions to RDDs in the same order in every batch.
   */
  transform<U>(f: (rdd: RDD<T>, time: Time) => RDD<U>): DStream<U> {
    assertFunction(f, 'transform')
    return streamOf(
      new TransformedNode(this.node.graph, {
        operation: 'transform',
        parents: [this.node],
        build: ([rdd], time) => f(rdd as RDD<T>, time),
        whenNone: 'fail',
        perBatch: true,
      }),
    )
  }

  /** As `transform`, with the RDD of another stream of the same slide beside this one's. */
  transformWith<U, V>(other: DStream<U>, f: (rdd: RDD<T>, otherRdd: RDD<U>, time: Time) => RDD<V>): DStream<V> {
    assertFunction(f, 'transformWith')
    return streamOf(
      new TransformedNode(this.node.graph, {
        operation: 'transformWith',
        parents: [this.node, other.node],
        build: ([a, b], time) => f(a as RDD<T>, b as RDD<U>, time),
        whenNone: 'fail',
        perBatch: true,
      }),
    )
  }

  // Housekeeping

  /** Gives this operator a fixed name, so that its state and functions are found again after the code around it changed. */
  named(name: string): this {
    this.node.rename(name)
    return this
  }

  /** Keeps the RDDs of this stream; the default is `MEMORY_ONLY_SER`. Throws `UNSUPPORTED` once the context has started. */
  persist(level: StorageLevel = StorageLevel.MEMORY_ONLY_SER): this {
    this.node.persist(level)
    return this
  }

  /** `persist()` at the default level. */
  cache(): this {
    return this.persist()
  }

  /**
   * Checkpoints this stream every `interval`, which must be a multiple of its slide, and persists it. Needed only to change
   * how often: streams with state are checkpointed anyway. Throws `UNSUPPORTED` once the context has started.
   */
  checkpoint(interval: Duration): this {
    this.node.checkpoint(toMilliseconds(interval))
    return this
  }

  /**
   * The RDDs of the batches from `from` to `to`, both included; ends between two batches are rounded down. RDDs that are no
   * longer remembered are made again. Throws `ILLEGAL_STATE` before the context has started.
   */
  slice(from: Time, to: Time): RDD<T>[] {
    const { node } = this
    const { zeroTime } = node.graph
    const floor = (time: Time): Time => Time.floor(time, node.slideMs, zeroTime)
    return rddsBetween(node, floor(from), floor(to)) as RDD<T>[]
  }

  /** The SparkContext that the RDDs of this stream belong to. */
  get sparkContext(): SparkContext {
    return this.node.graph.context
  }

  /** How often this stream produces an RDD, in milliseconds. */
  get slideDuration(): number {
    return this.node.slideMs
  }

  /** A stream on another node. @internal */
  over<U>(node: StreamNode): DStream<U> {
    return new DStream<U>(node)
  }

  /** A stream whose RDDs are built from this stream's and another's of the same slide. @internal */
  combine<U, W>(operation: string, other: DStream<U>, build: (rdd: RDD<T>, other: RDD<U>) => RDD<W>): DStream<W> {
    return streamOf(
      new TransformedNode(this.node.graph, {
        operation,
        parents: [this.node, other.node],
        build: ([a, b]) => build(a as RDD<T>, b as RDD<U>),
        whenNone: 'fail',
      }),
    )
  }

  /** A stream whose RDD of each time is built from this stream's. @internal */
  derive<U>(
    operation: string,
    build: (rdd: RDD<T>, time: Time) => RDD<U>,
    whenNone: 'none' | 'fail' = 'none',
  ): DStream<U> {
    return streamOf(
      new TransformedNode(this.node.graph, {
        operation,
        parents: [this.node],
        build: ([rdd], time) => build(rdd as RDD<T>, time),
        whenNone,
      }),
    )
  }
}

/** A handle on a node. @internal */
export function streamOf<T>(node: StreamNode): DStream<T> {
  return new DStream<T>(node)
}

/** One stream of the records of several. @internal */
export function uniteStreams<T>(streams: readonly DStream<T>[]): DStream<T> {
  const first = (streams as readonly DStream<T>[] | undefined)?.[0]
  if (first === undefined) throw new MillraceError('ILLEGAL_ARGUMENT', 'A union needs at least one stream.')
  return streamOf(
    new TransformedNode(first.node.graph, {
      operation: 'union',
      parents: streams.map((stream) => stream.node),
      build: (rdds) => unite(rdds),
      whenNone: 'fail',
    }),
  )
}
