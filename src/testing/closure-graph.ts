/** The other end of `closure-image`: in an executor thread, makes the functions of a test again and builds its graph. */
import { createRequire } from 'node:module'
import { Conf } from '../conf.js'
import type { DStream } from '../dstream/dstream.js'
import { describeGraph } from '../engine/graph-functions.js'
import {
  type GraphSource,
  type LoadedGraph,
  type LoadOptions,
  RecordingEngine,
  recordedAccess,
} from '../engine/recording-engine.js'
import { MillraceError } from '../errors.js'
import * as library from '../index.js'
import type { RDD } from '../rdd/rdd.js'
import { StreamingContext } from '../streaming-context.js'
import type { Time } from '../time.js'
import { type ClosureImage, closureImage } from './closure-image.js'

/** Describes the graph of a test over its input streams and gives the stream whose batches are wanted. */
export type BuildTest = (streams: readonly DStream<unknown>[], ssc: StreamingContext) => DStream<unknown>

interface ClosureArgs {
  readonly image: ClosureImage
  readonly batchMs: number
  readonly inputs: number
}

/** Where threads find the graph of a test, whose `build` may be any closure. */
export function closureSource(build: BuildTest, options: { batchMs: number; inputs: number }): GraphSource {
  return { module: import.meta.url, args: { image: closureImage(build, library), ...options } satisfies ClosureArgs }
}

/** Describes the graph of a test on `ssc`: the same in the driver and in every thread. */
export function describeTest(
  ssc: StreamingContext,
  inputs: readonly ((time: Time) => RDD<unknown> | null)[],
  build: BuildTest,
  output: (rdd: RDD<unknown>, time: Time) => Promise<void>,
): DStream<unknown> {
  const streams = inputs.map((next) => ssc.generatedStream('testInput', next))
  const stream = build(streams, ssc)
  stream.foreachRDD(output)
  return stream
}

export async function loadGraph(given: unknown, { parallelism, conf }: LoadOptions): Promise<LoadedGraph> {
  const { image, batchMs, inputs } = given as ClosureArgs
  const build = revive(image) as BuildTest
  const parts = { engine: () => new RecordingEngine(parallelism), ambient: [], outside: recordedAccess }
  const options = { appName: 'runBatches', batchInterval: batchMs, conf: Conf.from(conf) }
  const ssc = new StreamingContext(options, parts)
  const none = Array.from({ length: inputs }, () => () => null)
  const { functions } = describeGraph(() => {
    describeTest(ssc, none, build, async () => {})
  })
  return { graph: ssc.graph, described: functions, receivers: ssc.receivers }
}

/** The root of an image, made again. Values come into being when first asked for, so that circles close. */
function revive({ root, values }: ClosureImage): unknown {
  const made = new Map<number, unknown>()
  const at = (place: number): unknown => {
    if (!made.has(place)) make(place)
    return made.get(place)
  }
  const fill = (target: object, entries: readonly (readonly [string, number])[]): void => {
    for (const [name, place] of entries) (target as Record<string, unknown>)[name] = at(place)
  }
  const make = (place: number): void => {
    const value = values[place]!
    switch (value.type) {
      case 'data':
        made.set(place, value.value)
        return
      case 'array': {
        const items: unknown[] = []
        made.set(place, items)
        for (const item of value.items) items.push(at(item))
        return
      }
      case 'object': {
        const object = {}
        made.set(place, object)
        fill(object, value.entries)
        return
      }
      case 'instance': {
        const { prototype } = at(value.constructor) as { prototype: object }
        const instance = Object.create(prototype) as object
        made.set(place, instance)
        fill(instance, value.entries)
        return
      }
      case 'map':
        made.set(place, new Map(value.entries.map(([k, v]) => [at(k), at(v)])))
        return
      case 'set':
        made.set(place, new Set(value.items.map(at)))
        return
      case 'function':
        made.set(place, functionFrom(value.source, value.captured, at))
        return
      case 'export':
        made.set(place, (library as Record<string, unknown>)[value.name])
        return
      case 'builtin':
        made.set(place, builtin(value.module, value.name))
        return
      case 'missing':
        throw new MillraceError(
          'JOB_MODULE_INVALID',
          `A function of this test refers to ${value.what}, which cannot be sent to a thread. Make it inside the function that describes the graph, or test with master local.`,
        )
    }
  }
  return at(root)
}

function functionFrom(
  source: string,
  captured: readonly (readonly [string, number])[],
  at: (place: number) => unknown,
): unknown {
  // `with` finds the captured variables when they are used, as a closure would.
  const scope = Object.create(null) as object
  for (const [name, place] of captured) {
    let value: { readonly is: unknown } | null = null
    Object.defineProperty(scope, name, {
      get: () => {
        value ??= { is: at(place) }
        return value.is
      },
      set: (changed: unknown) => {
        value = { is: changed }
      },
    })
  }
  try {
    return new Function('scope', `with (scope) { return (${source}\n) }`)(scope)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    // A method: `name(…) { … }` stands only inside an object.
    return new Function('scope', `with (scope) { return Object.values({ ${source}\n })[0] }`)(scope)
  }
}

function builtin(module: string, name: string | null): unknown {
  if (module === '') return (globalThis as Record<string, unknown>)[name!]
  const loaded = createRequire(import.meta.url)(`node:${module}`) as Record<string, unknown>
  return name === null ? loaded : loaded[name]
}
