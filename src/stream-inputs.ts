/** Where streams come from: what a StreamingContext offers to begin a stream with. */
import { assertFunction, kindOf } from './arguments.js'
import type { Conf } from './conf.js'
import { type DStream, streamOf, uniteStreams } from './dstream/dstream.js'
import type { DStreamGraph } from './dstream/dstream-graph.js'
import { GeneratedNode, ReceiverNode, type SourceMemory, sameAlways } from './dstream/input-nodes.js'
import { NewFiles } from './dstream/new-files.js'
import { TransformedNode } from './dstream/nodes.js'
import { MillraceError } from './errors.js'
import { unite } from './rdd/combination.js'
import type { Item, Pair } from './rdd/pair.js'
import type { RDD } from './rdd/rdd.js'
import { assertRecordLength, type SparkContext } from './rdd/spark-context.js'
import { StorageLevel } from './rdd/storage-level.js'
import type { Receiver } from './receiver/receiver.js'
import { RawSocketReceiver, SocketReceiver, SocketTextReceiver } from './receiver/socket-receiver.js'
import type { Time } from './time.js'

/** Which files of a directory a file stream takes. */
export interface FileStreamOptions {
  /** Says of a path whether it is data. @default names that do not begin with a dot */
  readonly filter?: (path: string) => boolean
  /** Leave out what was there before the stream was described. @default true */
  readonly newFilesOnly?: boolean
}

export abstract class StreamInputs {
  abstract readonly sparkContext: SparkContext
  abstract readonly conf: Conf
  /** @internal */
  abstract readonly graph: DStreamGraph

  protected abstract now(): Time
  /** Throws `ILLEGAL_ARGUMENT` unless it is a receiver that feeds no stream yet. */
  protected abstract assertNew(receiver: Receiver<unknown>): void
  /** Has the engine run `receiver` for that stream. */
  protected abstract addReceiver(streamId: number, receiver: Receiver<unknown>): void

  /** A stream of what `receiver` stores. One receiver feeds one stream. */
  receiverStream<T>(receiver: Receiver<T>): DStream<T> {
    this.assertNew(receiver)
    const node = new ReceiverNode(this.graph, receiver.constructor.name)
    this.addReceiver(node.streamId, receiver)
    return streamOf(node)
  }

  /**
   * One stream of what `count` receivers store in parallel, `make(i)` making each: for shared subscriptions, or filters that divide the topics.
   * What came by one receiver keeps its order, also under a key; give each a client id of its own.
   *
   * ```ts
   * import { MqttStringReceiver, StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'members', batchInterval: '1s' })
   * const url = 'mqtt://localhost:1883'
   * ssc.receiverStreams(3, (n) => new MqttStringReceiver(url, '$share/group/plant/#', { clientId: `member-${n}` })).count().print()
   * ```
   */
  receiverStreams<T>(count: number, make: (index: number) => Receiver<T>): DStream<T> {
    return this.union(Array.from({ length: count }, (_, index) => this.receiverStream(make(index))))
  }

  /**
   * The lines a server sends: a TCP connection as a client, UTF-8, made again when it ends. What is in flight when it breaks is lost.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'lines', batchInterval: '1s' })
   * ssc.socketTextStream('127.0.0.1', 9999).count().print()
   * ```
   */
  socketTextStream(
    host: string,
    port: number,
    storageLevel: StorageLevel = StorageLevel.MEMORY_AND_DISK_SER_2,
  ): DStream<string> {
    return this.receiverStream(new SocketTextReceiver(host, port, storageLevel))
  }

  /** As `socketTextStream`, `converter` making records of the bytes as they come, chunk by chunk. */
  socketStream<T>(
    host: string,
    port: number,
    converter: (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<T>,
    storageLevel: StorageLevel = StorageLevel.MEMORY_AND_DISK_SER_2,
  ): DStream<T> {
    return this.receiverStream(new SocketReceiver(host, port, converter, storageLevel))
  }

  /** Blocks that are serialized already: each is its length in four bytes, big-endian, then records as `serializeRecords` writes them. They are read by the tasks. */
  rawSocketStream<T>(
    host: string,
    port: number,
    storageLevel: StorageLevel = StorageLevel.MEMORY_AND_DISK_SER_2,
  ): DStream<T> {
    return this.receiverStream(new RawSocketReceiver<T>(host, port, storageLevel))
  }

  /**
   * The lines of the files that appear in a directory, or in the directories a pattern matches; `.gz` files too. A file belongs
   * to the first batch at or after its modification time. Move files in when they are complete. With a checkpoint each file is in
   * one batch, also over restarts: the batch that runs again reads the same files, and those that came meanwhile follow.
   */
  textFileStream(directory: string, options: FileStreamOptions = {}): DStream<string> {
    return this.#newFiles('textFileStream', directory, options, (path) => this.sparkContext.textFile(path, 1))
  }

  /** The files that appear in a directory, as `[path, bytes]`; see `textFileStream`. */
  fileStream(directory: string, options: FileStreamOptions = {}): DStream<Pair<string, Uint8Array>> {
    return this.#newFiles('fileStream', directory, options, (path) => this.sparkContext.binaryFiles(path))
  }

  /** Pieces of `recordLength` bytes of the files that appear in a directory. A file that is no multiple of it fails the batch. */
  binaryRecordsStream(directory: string, recordLength: number, options: FileStreamOptions = {}): DStream<Uint8Array> {
    assertRecordLength(recordLength)
    return this.#newFiles('binaryRecordsStream', directory, options, (path) =>
      this.sparkContext.binaryRecords(path, recordLength),
    )
  }

  /**
   * A stream of RDDs (or arrays) from an in-memory queue: one each batch, or with `oneAtATime` false all that wait. When the
   * queue is empty the batch gets `defaultRdd`, else an empty RDD. For tests and experiments: a job with a checkpoint does not
   * go on from it, its start then rejects with `UNSUPPORTED`.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'queue', batchInterval: '1s' })
   * ssc.queueStream([[1, 2], [3]]).map((n) => n * n).print() // 1 4, then 9
   * ```
   */
  queueStream<T extends Item>(
    queue: (RDD<T> | readonly T[])[],
    oneAtATime = true,
    defaultRdd: RDD<T> | null = null,
  ): DStream<T> {
    if (!Array.isArray(queue)) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `queueStream needs an array of batches, not ${kindOf(queue)}.`)
    }
    const { sparkContext } = this
    const toRdd = (entry: RDD<T> | readonly T[]): RDD<T> => (isArray(entry) ? sparkContext.fromSlices([entry]) : entry)
    const next = (): RDD<T> => {
      const taken = queue.splice(0, oneAtATime ? 1 : queue.length).map(toRdd)
      return taken.length === 0 ? (defaultRdd ?? sparkContext.emptyRDD<T>()) : unite(taken)
    }
    return this.generatedStream('queueStream', next, null)
  }

  /** The same RDD each batch: a table to join with, or input for a test. */
  constantStream<T>(rdd: RDD<T>): DStream<T> {
    if (rdd === null || rdd === undefined)
      throw new MillraceError('ILLEGAL_ARGUMENT', `A constant stream needs an RDD, not ${rdd}.`)
    return this.generatedStream('constantStream', () => rdd)
  }

  /** The records of several streams of the same slide in one. Throws `ILLEGAL_ARGUMENT` for none. */
  union<T>(streams: readonly DStream<T>[]): DStream<T> {
    return uniteStreams(streams)
  }

  /**
   * Any RDD code over the RDDs of several streams of the same slide, each batch. See `DStream.transform`.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'both', batchInterval: '1s' })
   * const ids = ssc.queueStream([[1, 2], [3]])
   * const names = ssc.queueStream([['a', 'b'], ['c']])
   * ssc.transform([ids, names], ([ids, names]) => ids.cartesian(names)).print() // (1,a) (1,b) (2,a) (2,b), then (3,c)
   * ```
   */
  transform<const S extends readonly unknown[], U>(
    streams: { readonly [I in keyof S]: DStream<S[I]> },
    f: (rdds: { readonly [I in keyof S]: RDD<S[I]> }, time: Time) => RDD<U>,
  ): DStream<U> {
    assertFunction(f, 'transform')
    const parents = (streams as readonly DStream<unknown>[]).map((stream) => stream.node)
    return streamOf(
      new TransformedNode(this.graph, {
        operation: 'transform',
        parents,
        build: (rdds, time) => f(rdds as { readonly [I in keyof S]: RDD<S[I]> }, time),
        whenNone: 'fail',
        perBatch: true,
      }),
    )
  }

  /** A stream whose RDD of each batch `next` makes, or null for none. @internal */
  generatedStream<T>(
    operation: string,
    next: (time: Time) => RDD<T> | null,
    memory: SourceMemory | null = sameAlways,
  ): DStream<T> {
    return streamOf(new GeneratedNode(this.graph, { operation, next, memory }))
  }

  #newFiles<T>(
    operation: string,
    directory: string,
    { filter = isNotHidden, newFilesOnly = true }: FileStreamOptions,
    read: (path: string) => RDD<T>,
  ): DStream<T> {
    const files = new NewFiles({
      list: () => this.sparkContext.outside.directoryFiles(directory).filter(({ path }) => filter(path)),
      batchMs: this.graph.batchMs,
      rememberMs: this.conf.get('spark.streaming.fileStream.minRememberDuration'),
      ignoreUpTo: newFilesOnly ? this.now() : 0,
    })
    const next = (time: Time): RDD<T> => {
      const rdds = files.select(time).map(read)
      return rdds.length === 0 ? this.sparkContext.emptyRDD<T>() : unite(rdds)
    }
    return this.generatedStream(operation, next, files)
  }
}

function isNotHidden(path: string): boolean {
  return !path.slice(path.lastIndexOf('/') + 1).startsWith('.')
}

function isArray<T>(entry: RDD<T> | readonly T[]): entry is readonly T[] {
  return Array.isArray(entry)
}
