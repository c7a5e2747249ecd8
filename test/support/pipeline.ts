/** Applies the steps of a conformance vector to streams. The steps are described in test/conformance/README.md. */
import type { DStream } from 'millrace'

// biome-ignore lint/suspicious/noExplicitAny: vectors are data; their types are checked by what they expect
type Any = any

export interface Step {
  readonly op: string
  readonly f?: string
  readonly [field: string]: unknown
}

/** The function a vector gives as text. */
export function functionOf(text: unknown): Any {
  return new Function(`return (${String(text)})`)()
}

/** Operations this file knows; a vector with another step is not run. */
export const knownOperations: ReadonlySet<string> = new Set([
  'map',
  'flatMap',
  'filter',
  'glom',
  'reduce',
  'count',
  'countByValue',
  'mapValues',
  'flatMapValues',
  'groupByKey',
  'reduceByKey',
  'window',
  'union',
])

/** `stream` through one step; `inputs` are the vector's input streams, for steps that take a second one. */
export function applyStep(stream: DStream<Any>, step: Step, inputs: readonly DStream<Any>[]): DStream<Any> {
  switch (step.op) {
    case 'map':
    case 'flatMap':
    case 'filter':
    case 'reduce':
    case 'mapValues':
    case 'flatMapValues':
      return (stream as Any)[step.op](functionOf(step.f))
    case 'glom':
    case 'count':
      return (stream as Any)[step.op]()
    case 'countByValue':
    case 'groupByKey':
      return (stream as Any)[step.op](step.numPartitions)
    case 'reduceByKey':
      return stream.reduceByKey(functionOf(step.f), step.numPartitions as number | undefined)
    case 'window':
      return stream.window(step.windowMs as number, step.slideMs as number | undefined)
    case 'union':
      return stream.union(...secondStreams(step, inputs))
    default:
      throw new Error(`Unknown operation ${step.op}`)
  }
}

export function applyPipeline(
  stream: DStream<Any>,
  steps: readonly Step[],
  inputs: readonly DStream<Any>[],
): DStream<Any> {
  return steps.reduce((current, step) => applyStep(current, step, inputs), stream)
}

function secondStreams(step: Step, inputs: readonly DStream<Any>[]): DStream<Any>[] {
  const specs = (Array.isArray(step.with) ? step.with : [step.with]) as { input: number; pipeline?: Step[] }[]
  return specs.map((spec) => applyPipeline(inputs[spec.input - 1]!, spec.pipeline ?? [], inputs))
}
