/** An executor thread: loads the job's module, builds its graph, then runs the tasks it is sent, one at a time. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { errorToData, MillraceError } from '../../errors.js'
import type { AccumulatorRegistry } from '../../rdd/accumulator.js'
import { LoggedBlocks } from '../../storage/logged-blocks.js'
import { serializeRecords } from '../../storage/record-serializer.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import { GraphFunctions, graphShape } from '../graph-functions.js'
import type { LoadedGraph, LoadGraph } from '../recording-engine.js'
import { HeldValues } from './held-values.js'
import type { FromThread, TaskData, TaskOutcome, ThreadStart, ToThread } from './messages.js'
import { type Stage, type StageData, stageFromData } from './stage-data.js'
import { ThreadExecutor } from './thread-executor.js'

/** What ends within this time is told together. */
const togetherMs = 2

class ExecutorWorker {
  readonly #port: MessagePort
  readonly #functions: GraphFunctions
  readonly #executor: ThreadExecutor
  readonly #accumulators: AccumulatorRegistry
  readonly #pool = new SharedPool()
  readonly #values: HeldValues
  readonly #stages = new Map<number, StageData | Stage>()

  constructor(port: MessagePort, graph: LoadedGraph, start: ThreadStart) {
    this.#port = port
    this.#functions = new GraphFunctions(graph.graph, graph.described)
    this.#accumulators = graph.graph.context.accumulators
    const { spillDirectory } = start
    const logged = new LoggedBlocks()
    const { receivers } = graph
    this.#values = new HeldValues(start.heldMaxBytes)
    this.#executor = new ThreadExecutor({ receivers, pool: this.#pool, spillDirectory, logged, values: this.#values })
  }

  take({ stage, tasks, useless }: ToThread): void {
    for (const id of useless.stages) this.#stages.delete(id)
    for (const memory of useless.memory) this.#pool.give(memory)
    this.#values.forget(useless.rdds)
    if (stage !== null) this.#stages.set(stage.id, stage)
    void this.#run(tasks)
  }

  /** Runs tasks and tells what came of them: of short ones together, of a long one at once. */
  async #run(tasks: readonly TaskData[]): Promise<void> {
    let outcomes: TaskOutcome[] = []
    let since = performance.now()
    for (let i = 0; i < tasks.length; i++) {
      outcomes.push(await this.#outcome(tasks[i]!))
      const isFree = i === tasks.length - 1
      if (!isFree && performance.now() - since < togetherMs) continue
      const transfer: ArrayBuffer[] = []
      for (const outcome of outcomes) {
        if (outcome.type === 'done' && outcome.output.type === 'result') {
          transfer.push(outcome.output.bytes.buffer as ArrayBuffer)
        }
      }
      this.#port.postMessage({ type: 'ended', outcomes, isFree } satisfies FromThread, transfer)
      outcomes = []
      since = performance.now()
    }
  }

  async #outcome(task: TaskData): Promise<TaskOutcome> {
    try {
      const result = await this.#executor.run(this.#stage(task.stageId), task)
      const updates = this.#accumulators.drain()
      const accumulated = updates.length === 0 ? null : serializeRecords(updates)
      return { type: 'done', taskId: task.id, ...result, accumulated }
    } catch (thrown) {
      // What a task that failed has added does not count.
      this.#accumulators.drain()
      return { type: 'failed', taskId: task.id, error: errorToData(thrown) }
    }
  }

  /** The stage with its functions found, once for all its tasks. */
  #stage(id: number): Stage {
    const known = this.#stages.get(id)
    if (known === undefined) throw new MillraceError('INTERNAL', `Stage ${id} was not sent to this thread.`)
    if (!('sources' in known)) return known
    const stage = stageFromData(known, this.#functions.find)
    this.#stages.set(id, stage)
    return stage
  }
}

const port = parentPort!
const start = workerData as ThreadStart
process.setSourceMapsEnabled(true)
// The user's line may lie below many of a package's.
Error.stackTraceLimit = 50
try {
  const { loadGraph } = (await import(start.source.module)) as { loadGraph: LoadGraph }
  const graph = await loadGraph(start.source.args, { parallelism: start.parallelism, conf: start.conf })
  const worker = new ExecutorWorker(port, graph, start)
  port.on('message', (message: ToThread) => worker.take(message))
  port.postMessage({ type: 'ready', shape: graphShape(graph.graph) } satisfies FromThread)
} catch (thrown) {
  port.postMessage({ type: 'loadFailed', error: errorToData(thrown) } satisfies FromThread)
}
