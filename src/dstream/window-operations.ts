/** Operations over the last while of a stream. All but `reduceByKeyAndWindow` with an inverse are compositions of simpler ones. */
import { type Partitioning, streamPartitioning } from '../rdd/combination.js'
import type { Item, Pair } from '../rdd/pair.js'
import { reduceInOne } from '../rdd/single-result.js'
import { libraryFunction, userFunction } from '../rdd/task-function.js'
import { type Duration, toMilliseconds } from '../time.js'
import type { DStream } from './dstream.js'
import { assertWindow, WindowedNode } from './nodes.js'
import { OutputOperations } from './output-operations.js'
import { ReducedWindowNode, type WindowFunctions } from './reduced-window-node.js'

export abstract class WindowOperations extends OutputOperations {
  /**
   * The records of the last `window` of this stream, every `slide` (default: this stream's slide). Both must be multiples of
   * this stream's slide, else `ILLEGAL_ARGUMENT`. Early windows hold what there is.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'windows', batchInterval: '1s' })
   * ssc.queueStream([[1], [2], [3]]).window('2s').print() // 1, then 1 2, then 2 3
   * ```
   */
  window<T>(this: DStream<T>, window: Duration, slide: Duration = this.node.slideMs): DStream<T> {
    return this.over(new WindowedNode(this.node.graph, this.node, toMilliseconds(window), toMilliseconds(slide)))
  }

  /** One record a window, all its records made one by `f`, which must be associative; none for an empty window. */
  reduceByWindow<T extends Item>(this: DStream<T>, f: (a: T, b: T) => T, window: Duration, slide?: Duration): DStream<T>
  /** As above, made from the window before: `inverse(f(a, b), b)` must equal `a`. */
  reduceByWindow<T extends Item>(
    this: DStream<T>,
    f: (a: T, b: T) => T,
    inverse: (a: T, b: T) => T,
    window: Duration,
    slide?: Duration,
  ): DStream<T>
  reduceByWindow<T extends Item>(
    this: DStream<T>,
    f: (a: T, b: T) => T,
    inverseOrWindow: ((a: T, b: T) => T) | Duration,
    windowOrSlide?: Duration,
    slide?: Duration,
  ): DStream<T> {
    if (typeof inverseOrWindow !== 'function') {
      return this.reduce(f)
        .window(inverseOrWindow, windowOrSlide)
        .derive('reduceByWindow', (rdd) => reduceInOne(rdd, f))
    }
    return this.map((record): Pair<number, T> => [1, record])
      .reduceByKeyAndWindow(f, inverseOrWindow, windowOrSlide!, slide, 1)
      .map(([, value]) => value as Item as T & Item)
  }

  /** How many records each window has: 0 once data has come and left again, no record before any came. */
  countByWindow(this: DStream<unknown>, window: Duration, slide?: Duration): DStream<number> {
    return this.map((): Pair<number, number> => [1, 1])
      .incrementalWindow(countFunctions(false), window, slide, 1)
      .map(([, count]) => count)
  }

  /** Each distinct record of the window with the number of times it occurs. */
  countByValueAndWindow<T>(
    this: DStream<T>,
    window: Duration,
    slide?: Duration,
    partitioning?: Partitioning,
  ): DStream<Pair<T, number>> {
    return this.map((record): Pair<T, number> => [record, 1]).incrementalWindow(
      countFunctions(true),
      window,
      slide,
      partitioning,
    )
  }

  /** All values of each key in the window, in an array. */
  groupByKeyAndWindow<K, V>(
    this: DStream<Pair<K, V>>,
    window: Duration,
    slide?: Duration,
    partitioning?: Partitioning,
  ): DStream<Pair<K, V[]>> {
    return this.groupByKey(partitioning)
      .window(window, slide)
      .combineByKey(
        (values: V[]) => [...values],
        (all: V[], values) => appendAll(all, values),
        appendAll,
        partitioning,
        false,
      )
  }

  /** The values of each key in the window made one by `f`, which must be associative. Each window is reduced anew, from its batches reduced. */
  reduceByKeyAndWindow<K, V extends Item>(
    this: DStream<Pair<K, V>>,
    f: (a: V, b: V) => V,
    window: Duration,
    slide?: Duration,
    partitioning?: Partitioning,
  ): DStream<Pair<K, V>>
  /**
   * As above, made from the window before: what left is taken out with `inverse`, then what came is added, so a window costs by
   * what changes and not by its length. `inverse(f(a, b), b)` must equal `a`. Keys stay for ever with their last value unless
   * `filter` says no to them.
   */
  reduceByKeyAndWindow<K, V extends Item>(
    this: DStream<Pair<K, V>>,
    f: (a: V, b: V) => V,
    inverse: (a: V, b: V) => V,
    window: Duration,
    slide?: Duration,
    partitioning?: Partitioning,
    filter?: (pair: Pair<K, V>) => unknown,
  ): DStream<Pair<K, V>>
  reduceByKeyAndWindow<K, V extends Item>(
    this: DStream<Pair<K, V>>,
    f: (a: V, b: V) => V,
    inverseOrWindow: ((a: V, b: V) => V) | Duration,
    second?: Duration,
    third?: Duration | Partitioning,
    partitioning?: Partitioning,
    filter?: (pair: Pair<K, V>) => unknown,
  ): DStream<Pair<K, V>> {
    if (typeof inverseOrWindow !== 'function') {
      const given = third as Partitioning | undefined
      return this.reduceByKey(f, given).window(inverseOrWindow, second).reduceByKey(f, given)
    }
    const functions = (): WindowFunctions => ({
      reduce: userFunction(f),
      inverse: userFunction(inverseOrWindow),
      filter: filter === undefined ? null : userFunction(filter),
    })
    return this.incrementalWindow(functions, second!, third as Duration | undefined, partitioning)
  }

  /** A window made from the one before it. @internal */
  incrementalWindow<K, V>(
    this: DStream<Pair<K, V>>,
    functions: () => WindowFunctions,
    window: Duration,
    slide: Duration | undefined,
    partitioning: Partitioning | undefined,
  ): DStream<Pair<K, V>> {
    const windowMs = toMilliseconds(window)
    const slideMs = toMilliseconds(slide ?? this.node.slideMs)
    assertWindow(this.node, windowMs, slideMs)
    const reduced = this.derive('reduceByKey', (rdd) =>
      rdd.reducedByKey(functions().reduce, streamPartitioning([rdd], partitioning)),
    )
    return this.over(new ReducedWindowNode(reduced.node, { windowMs, slideMs, partitioning, functions }))
  }
}

function countFunctions(dropsZero: boolean): () => WindowFunctions {
  return () => ({ reduce: plus(), inverse: minus(), filter: dropsZero ? valueIsNotZero() : null })
}

const plus = libraryFunction('plus', () => (a: number, b: number) => a + b)
const minus = libraryFunction('minus', () => (a: number, b: number) => a - b)
const valueIsNotZero = libraryFunction(
  'valueIsNotZero',
  () =>
    ([, value]: Pair<unknown, number>) =>
      value !== 0,
)

function appendAll<V>(all: V[], values: readonly V[]): V[] {
  for (let i = 0; i < values.length; i++) all.push(values[i]!)
  return all
}
