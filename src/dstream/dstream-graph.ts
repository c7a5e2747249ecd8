/** The graph of a job: its nodes in the order the user made them, its inputs and its outputs. */
import { type ErrorCode, MillraceError } from '../errors.js'
import { CallSite } from '../rdd/call-site.js'
import type { BlockInfo } from '../rdd/lineage.js'
import type { RDD } from '../rdd/rdd.js'
import type { SparkContext } from '../rdd/spark-context.js'
import type { Time } from '../time.js'
import type { StreamNode } from './stream-node.js'

/** The blocks of one batch by stream: one array a partition. */
export type BatchBlocks = ReadonlyMap<number, readonly (readonly BlockInfo[])[]>

/** One output of one batch, ready to run. */
export interface Job {
  readonly time: Time
  readonly outputId: number
  /** The user's operation, such as `print`. */
  readonly name: string
  /** Where the user wrote it. */
  readonly callSite: CallSite
  /** The operators with state it stands on, by id: each batch needs what the one before left of it. */
  readonly states: readonly string[]
  run(): Promise<void>
}

/** What an input is told of the run before this one, on the same checkpoint directory. */
export interface EarlierRun {
  /** The batches it completed, as far as they are remembered, in order. */
  readonly completed: readonly Time[]
  /** The last batch it began. */
  readonly last: Time
  /** What the input wanted remembered, or null. */
  readonly memory: unknown
}

/** A node where data enters: it gets every batch's blocks, in order, before anyone asks it for an RDD. */
export interface InputNode extends StreamNode {
  readonly streamId: number
  /** The class of its receiver, or the operation that made it. */
  readonly source: string
  /** Goes on where an earlier process ended. Called before any batch. Throws `UNSUPPORTED` when its input is gone with that process. */
  resume(run: EarlierRun): void
  /** What a later process must know once the batch of `time` was taken, as plain data; null when that is nothing new. */
  toRemember(time: Time): unknown
  takeBatch(time: Time, blocks: BatchBlocks): void
  /** The batch of `time` failed and is left out: it had no records. */
  leaveOut(time: Time): void
}

/** What an output does with the RDD of each batch. */
export interface OutputOperation {
  readonly node: StreamNode
  readonly name: string
  run(rdd: RDD<unknown>, time: Time): void | Promise<void>
}

export class DStreamGraph {
  readonly context: SparkContext
  readonly batchMs: number
  readonly nodes: StreamNode[] = []
  readonly inputs: InputNode[] = []
  readonly outputs: (OutputOperation & { readonly callSite: CallSite })[] = []
  /** The time before the first batch; known once the graph has started. */
  #zeroTime: Time | null = null
  #closed: 'starting' | 'stopping' | null = null

  constructor(context: SparkContext, batchMs: number) {
    this.context = context
    this.batchMs = batchMs
  }

  #rememberMs: number | null = null
  /** Input of batches before this time is gone: an operator without state from before begins here. After a restart, the earliest batch that was kept. */
  earliestTime: Time = Number.NEGATIVE_INFINITY
  /** Where `print` writes. */
  print: (text: string) => void = (text) => {
    process.stdout.write(text)
  }

  /** How long every stream keeps its RDDs at least, in milliseconds. Can be said once. */
  setRemember(ms: number): void {
    this.assertOpen()
    if (this.#rememberMs !== null) {
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `How long streams remember is already set, to ${this.#rememberMs} ms; it cannot be set again.`,
      )
    }
    this.#rememberMs = ms
  }

  /** Takes a node in; returns its place in the order of creation. */
  add(node: StreamNode): number {
    this.assertOpen()
    return this.nodes.push(node) - 1
  }

  /** An RDD that is never computed, where only what is done with it matters. */
  placeholder(): RDD<unknown> {
    return this.context.rdd({
      type: 'checkpointed',
      id: this.context.nextRddId(),
      partitions: 1,
      partitioner: null,
      storageLevel: null,
      directory: null,
      rddId: -1,
    })
  }

  addOutput(output: OutputOperation): void {
    this.assertOpen()
    this.outputs.push({ ...output, callSite: new CallSite() })
  }

  /** Throws when the graph can no longer change. */
  assertOpen(code?: ErrorCode): void {
    if (this.#closed === null) return
    const verb = this.#closed === 'starting' ? 'started' : 'stopped'
    throw new MillraceError(
      code ?? (this.#closed === 'starting' ? 'CONTEXT_STARTED' : 'CONTEXT_STOPPED'),
      `Adding new inputs, transformations, and output operations after ${this.#closed} a context is not supported: this context has been ${verb}. Describe the whole graph first.`,
    )
  }

  /** No changes from now on. */
  close(reason: 'starting' | 'stopping'): void {
    this.#closed = reason
  }

  get zeroTime(): Time {
    if (this.#zeroTime === null)
      throw new MillraceError('ILLEGAL_STATE', 'The stream has not been initialized: its context has not started.')
    return this.#zeroTime
  }

  /** Checks the graph and fixes the time from which batches are counted. */
  start(zeroTime: Time): void {
    if (this.outputs.length === 0) {
      throw new MillraceError(
        'NO_OUTPUT_OPERATION',
        'No output operations registered, so nothing to execute: end at least one stream with print, foreachRDD or another output; or, in a job without streams, make the function async and await actions on RDDs.',
      )
    }
    this.#zeroTime = zeroTime
    for (const output of this.outputs) output.node.remember(output.node.slideMs)
    for (const node of this.nodes) {
      node.remember(this.#rememberMs ?? 0)
      node.validate()
    }
  }

  /**
   * The jobs of the batch of `time`, whose input the graph has: one for each output that has an RDD then, in the order the outputs were
   * registered. Throws what making an RDD throws, as Spark does; with `mayFail` the job throws it, and makes the RDD anew when it is run
   * again.
   */
  jobsAt(time: Time, mayFail = false): Job[] {
    return this.outputs.flatMap((output, outputId) => {
      const { node, name, callSite } = output
      let rdd: RDD<unknown> | null = null
      let failure: unknown = null
      try {
        rdd = node.rddAt(time)
        if (rdd === null) return []
      } catch (error) {
        if (!mayFail) throw error
        failure = error
      }
      const run = async (): Promise<void> => {
        const thrown = failure
        failure = null
        if (thrown !== null) throw thrown
        rdd ??= node.rddAt(time)
        if (rdd !== null) await output.run(rdd, time)
      }
      return [{ time, outputId, name, callSite, states: statesBeneath(node), run }]
    })
  }

  /** Gives the inputs the batch of `time`, for later batches that look back at it. */
  takeInputs(time: Time, blocks: BatchBlocks): void {
    for (const input of this.inputs) input.takeBatch(time, blocks)
  }

  /** Leaves the failed batch of `time` out: from now on it had no input, and what was made from it is made anew. */
  leaveOut(time: Time): void {
    for (const node of this.nodes) if (!this.inputs.some((input) => input === node)) node.discardFrom(time)
    this.leaveOutInputs(time)
  }

  /** From now on the batch of `time` had no input. */
  leaveOutInputs(time: Time): void {
    for (const input of this.inputs) input.leaveOut(time)
  }

  /**
   * Leaves out the batches after `last` and before `next`: state stays as it was, and the batch of `next` finds it where it
   * looks. `last` null: state is what was restored.
   */
  carryState(last: Time | null, next: Time): void {
    for (const node of this.nodes) {
      if (!node.mustCheckpoint) continue
      const latest = (before: Time): Time => before - ((before - this.zeroTime) % node.slideMs)
      // What was completed after the state was saved is computed again first, from its input.
      if (last !== null && !node.hasAfter(last)) node.rddAt(latest(last))
      node.carry(last ?? next - 1, latest(next - 1))
    }
  }

  /** Cuts the history of the streams that would grow otherwise, once the jobs of the batch of `time` are done. */
  async cutHistory(time: Time): Promise<void> {
    for (const node of this.nodes) await node.cutHistory(time)
  }

  /** Drops what no later batch needs, once the batch of `time` is done. */
  forget(time: Time): void {
    for (const node of this.nodes) node.forget(time)
  }

  /** The longest time between two savings of an operator's state, in milliseconds; 0 without state. */
  get stateIntervalMs(): number {
    return Math.max(0, ...this.nodes.map((node) => (node.mustCheckpoint ? (node.checkpointMs ?? 0) : 0)))
  }

  /** The longest any input must keep its data, in milliseconds. */
  get inputRememberMs(): number {
    return Math.max(this.batchMs, ...this.inputs.map((input) => input.rememberMs))
  }
}

const knownStates = new WeakMap<StreamNode, readonly string[]>()

function statesBeneath(node: StreamNode): readonly string[] {
  let states = knownStates.get(node)
  if (states === undefined) {
    const found = new Set(node.dependencies.flatMap((parent) => statesBeneath(parent)))
    if (node.mustCheckpoint) found.add(node.id)
    states = [...found]
    knownStates.set(node, states)
  }
  return states
}
