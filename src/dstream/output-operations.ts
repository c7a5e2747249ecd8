/** What ends a stream: operations that do something with every batch. They run in the order they were called. */
import { assertFunction, kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'
import type { RDD } from '../rdd/rdd.js'
import type { SaveOptions } from '../rdd/saving-operations.js'
import { type LibraryFunction, libraryFunction, type TaskFunction, userFunction } from '../rdd/task-function.js'
import { toText } from '../rdd/text.js'
import type { Time } from '../time.js'
import type { DStream } from './dstream.js'

export abstract class OutputOperations {
  /**
   * Calls `f` on the driver with the RDD and the time of every batch. Functions given to RDD operations inside run on the
   * driver too; to work beside the data, transform before or use `foreachPartition`. A rejection fails the batch.
   */
  foreachRDD<T>(this: DStream<T>, f: (rdd: RDD<T>, time: Time) => void | Promise<void>): void {
    assertFunction(f, 'foreachRDD')
    this.node.graph.addOutput({ node: this.node, name: 'foreachRDD', run: (rdd, time) => f(rdd as RDD<T>, time) })
  }

  /**
   * Calls `f` once for every partition of every batch, beside the data; `f` may be async. For writing to other systems: the
   * number of the partition and the time of the batch are the same when a task, or a batch, runs again.
   */
  foreachPartition<T>(
    this: DStream<T>,
    f: (records: IterableIterator<T>, partition: number, time: Time) => void | Promise<void>,
  ): void {
    assertFunction(f, 'foreachPartition')
    const effects = this.derive('foreachPartition', (rdd, time) =>
      rdd.mapped<never>({ type: 'iterate', f: effectAt(userFunction(f), time) }),
    )
    effects.node.graph.addOutput({
      node: effects.node,
      name: 'foreachPartition',
      run: async (rdd) => {
        await rdd.collect()
      },
    })
  }

  /** Prints the first `n` records of every batch under a header with its time, as Spark does; `...` when there are more. */
  print(this: DStream<unknown>, n = 10): void {
    if (!Number.isInteger(n) || n < 0) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `print needs a whole number of records, not ${kindOf(n)}.`)
    }
    this.node.graph.addOutput({
      node: this.node,
      name: 'print',
      run: async (rdd, time) => {
        const records = await rdd.take(n + 1)
        const rule = '-------------------------------------------'
        const lines = [
          rule,
          `Time: ${time} ms`,
          rule,
          ...records.slice(0, n).map(toText),
          ...(records.length > n ? ['...'] : []),
          '',
        ]
        this.node.graph.print(`${lines.join('\n')}\n`)
      },
    })
  }

  /**
   * Writes every batch as text into a directory `<prefix>-<time>` or `<prefix>-<time>.<suffix>`, `<time>[.<suffix>]` when the
   * prefix is empty; see `RDD.saveAsTextFile`. A batch that runs again replaces what it wrote.
   */
  saveAsTextFiles(
    this: DStream<unknown>,
    prefix: string,
    suffix = '',
    options: Omit<SaveOptions, 'overwrite'> = {},
  ): void {
    addOutput(this, 'saveAsTextFiles', (rdd, time) =>
      rdd.saveAsTextFile(outputPath(prefix, suffix, time), { ...options, overwrite: true }),
    )
  }

  /** As `saveAsTextFiles`, every record a line of JSON. */
  saveAsJsonFiles(
    this: DStream<unknown>,
    prefix: string,
    suffix = '',
    options: Omit<SaveOptions, 'overwrite'> = {},
  ): void {
    addOutput(this, 'saveAsJsonFiles', (rdd, time) =>
      rdd.saveAsJsonFile(outputPath(prefix, suffix, time), { ...options, overwrite: true }),
    )
  }

  /** As `saveAsTextFiles`, in the form that `sparkContext.objectFile` reads. */
  saveAsObjectFiles(this: DStream<unknown>, prefix: string, suffix = ''): void {
    addOutput(this, 'saveAsObjectFiles', (rdd, time) =>
      rdd.saveAsObjectFile(outputPath(prefix, suffix, time), { overwrite: true }),
    )
  }
}

const effectAt: (f: TaskFunction, time: Time) => LibraryFunction = libraryFunction(
  'effectAt',
  (f: (records: unknown, partition: number, time: Time) => unknown, time: Time) =>
    async (records: unknown, partition: number) => {
      await f(records, partition, time)
      return []
    },
)

function addOutput<T>(stream: DStream<T>, name: string, run: (rdd: RDD<T>, time: Time) => void | Promise<void>): void {
  stream.node.graph.addOutput({ node: stream.node, name, run: (rdd, time) => run(rdd as RDD<T>, time) })
}

function outputPath(prefix: string, suffix: string, time: Time): string {
  return (prefix === '' ? `${time}` : `${prefix}-${time}`) + (suffix === '' ? '' : `.${suffix}`)
}
