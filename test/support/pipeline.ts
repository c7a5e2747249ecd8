/** Applies the steps of a conformance vector to streams. The steps are described in test/conformance/README.md. */
import { type DStream, type RDD, StateSpec, type StreamingContext } from 'millrace'

// biome-ignore lint/suspicious/noExplicitAny: vectors are data; their types are checked by what they expect
type Any = any
type Streams = readonly DStream<Any>[]

export interface Step {
  readonly op: string
  readonly [field: string]: Any
}

/** The function a vector gives as text. */
export function functionOf(text: unknown): Any {
  return new Function(`return (${String(text)})`)()
}

/** What a pipeline is applied to, and what it leaves for the test to look at. */
export interface PipelineScope {
  readonly ssc: StreamingContext
  readonly inputs: Streams
  /** How often streams with state are checkpointed, where the vector says. */
  readonly checkpointIntervalMs: number | undefined
  /** The snapshots of the last `mapWithState`. */
  snapshots?: DStream<Any>
}

export function applyPipeline(stream: DStream<Any>, steps: readonly Step[], scope: PipelineScope): DStream<Any> {
  return steps.reduce((current, step) => applyStep(current, step, scope), stream)
}

/** `stream` through one step. Throws for an operation nobody knows: a vector must not pass by not being run. */
export function applyStep(stream: DStream<Any>, step: Step, scope: PipelineScope): DStream<Any> {
  const apply = operations[step.op]
  if (apply === undefined) throw new Error(`No operation ${step.op} in this harness`)
  return apply(stream as Any, step, scope)
}

type Apply = (stream: Any, step: Step, scope: PipelineScope) => DStream<Any>

const withFunction: Apply = (stream, step) => stream[step.op](functionOf(step.f))
const withFunctionAndPartitions: Apply = (stream, step) => stream[step.op](functionOf(step.f), partitionsOf(step))
const withPartitions: Apply = (stream, step) => stream[step.op](partitionsOf(step))
const withoutArguments: Apply = (stream, step) => stream[step.op]()
const withOther: Apply = (stream, step, scope) => stream[step.op](second(step, scope), partitionsOf(step))

const operations: Readonly<Record<string, Apply>> = {
  map: withFunction,
  flatMap: withFunction,
  filter: withFunction,
  reduce: withFunction,
  mapValues: withFunction,
  flatMapValues: withFunction,
  mapPartitions: (stream, step) => stream.mapPartitions(functionOf(step.f)),
  mapPartitionsWithIndex: (stream, step) => stream.mapPartitionsWithIndex(functionOf(step.f)),
  glom: withoutArguments,
  count: withoutArguments,
  countByValue: withPartitions,
  groupByKey: withPartitions,
  repartition: withPartitions,
  partitionBy: withPartitions,
  reduceByKey: withFunctionAndPartitions,
  combineByKey: (stream, step) =>
    stream.combineByKey(functionOf(step.create), functionOf(step.mergeV), functionOf(step.mergeC), partitionsOf(step)),
  join: withOther,
  leftOuterJoin: withOther,
  rightOuterJoin: withOther,
  fullOuterJoin: withOther,
  cogroup: withOther,
  union: (stream, step, scope) => stream.union(...seconds(step, scope)),
  transform: (stream, step) => stream.transform((rdd: RDD<Any>) => combinedRdds([rdd], step.rdd)),
  transformWith: (stream, step, scope) =>
    stream.transformWith(second(step, scope), (a: RDD<Any>, b: RDD<Any>) => combinedRdds([a, b], step.rdd)),
  sscTransform: (stream, step, scope) =>
    scope.ssc.transform([stream, ...seconds(step, scope)], (rdds) => combinedRdds(rdds, step.rdd)),
  window: (stream, step) => stream.window(step.windowMs, step.slideMs),
  reduceByWindow: (stream, step) =>
    step.inv === undefined
      ? stream.reduceByWindow(functionOf(step.f), step.windowMs, step.slideMs)
      : stream.reduceByWindow(functionOf(step.f), functionOf(step.inv), step.windowMs, step.slideMs),
  countByWindow: (stream, step) => stream.countByWindow(step.windowMs, step.slideMs),
  countByValueAndWindow: (stream, step) =>
    stream.countByValueAndWindow(step.windowMs, step.slideMs, partitionsOf(step)),
  groupByKeyAndWindow: (stream, step) => stream.groupByKeyAndWindow(step.windowMs, step.slideMs, partitionsOf(step)),
  reduceByKeyAndWindow(stream, step, scope) {
    const f = functionOf(step.f)
    if (step.inv === undefined) return stream.reduceByKeyAndWindow(f, step.windowMs, step.slideMs, partitionsOf(step))
    const filter = step.filter === undefined ? undefined : functionOf(step.filter)
    const given = [functionOf(step.inv), step.windowMs, step.slideMs, partitionsOf(step), filter]
    return checkpointed(stream.reduceByKeyAndWindow(f, ...given), scope)
  },
  updateStateByKey(stream, step, scope) {
    if (step.ft !== undefined) {
      const updated = stream.updateStateByKeyWithTime(functionOf(step.ft), partitionsOf(step), step.initial)
      return checkpointed(updated, scope)
    }
    const f = functionOf(step.f)
    if (!step.iteratorForm) return checkpointed(stream.updateStateByKey(f, partitionsOf(step), step.initial), scope)
    const update = (keys: [Any, Any[], Any][]): Any[] =>
      keys.flatMap(([key, values, state]) => {
        const next = f(values, state)
        return next === null || next === undefined ? [] : [[key, next]]
      })
    return checkpointed(stream.updateStateByKeyPartitions(update, partitionsOf(step), step.initial), scope)
  },
  mapWithState(stream, step, scope) {
    const spec =
      step.ft === undefined ? StateSpec.function(functionOf(step.f)) : StateSpec.functionWithTime(functionOf(step.ft))
    if (step.initial !== undefined) spec.initialState(step.initial)
    if (step.timeoutMs !== undefined) spec.timeout(step.timeoutMs)
    const partitions = partitionsOf(step)
    if (partitions !== undefined) spec.numPartitions(partitions)
    const mapped = checkpointed(stream.mapWithState(spec), scope)
    scope.snapshots = (mapped as Any).stateSnapshots()
    return mapped
  },
  persist: withoutArguments,
  cache: withoutArguments,
  checkpoint: (stream, step) => stream.checkpoint(step.intervalMs ?? step.n),
  stateSnapshots: (_stream, _step, scope) => scope.snapshots!,
}

function partitionsOf(step: Step): number | undefined {
  return step.numPartitions ?? step.n
}

function checkpointed(stream: DStream<Any>, scope: PipelineScope): DStream<Any> {
  return scope.checkpointIntervalMs === undefined ? stream : stream.checkpoint(scope.checkpointIntervalMs)
}

function seconds(step: Step, scope: PipelineScope): DStream<Any>[] {
  const specs = (Array.isArray(step.with) ? step.with : [step.with]) as { input: number; pipeline?: Step[] }[]
  return specs.map((spec) => applyPipeline(scope.inputs[spec.input - 1]!, spec.pipeline ?? [], scope))
}

function second(step: Step, scope: PipelineScope): DStream<Any> {
  return seconds(step, scope)[0]!
}

/** What a transform step does with its RDDs: null gives none, a name combines them, a list of steps goes over the first. */
function combinedRdds(rdds: readonly RDD<Any>[], how: string | null | Step[]): Any {
  if (how === null) return null
  const [first, ...others] = rdds as Any[]
  if (typeof how === 'string') return first[how](...others)
  return how.reduce((rdd, step) => {
    if (step.create !== undefined)
      return rdd[step.op](functionOf(step.create), functionOf(step.mergeV), functionOf(step.mergeC), partitionsOf(step))
    const given = step.f === undefined ? [] : [functionOf(step.f)]
    return rdd[step.op](...given, partitionsOf(step))
  }, first)
}
