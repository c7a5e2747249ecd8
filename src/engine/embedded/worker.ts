/** An executor thread: loads the job's module, builds its graph, then runs the tasks it is sent, one at a time. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { assertNever, errorToData, MillraceError } from '../../errors.js'
import type { AccumulatorRegistry } from '../../rdd/accumulator.js'
import { LoggedBlocks } from '../../storage/logged-blocks.js'
import { serializeRecords } from '../../storage/record-serializer.js'
import { SharedPool } from '../../storage/shared-bytes.js'
import { GraphFunctions, graphShape } from '../graph-functions.js'
import type { LoadedGraph, LoadGraph } from '../recording-engine.js'
import { HeldValues } from './held-values.js'
import type { FromThread, TaskData, ThreadStart, ToThread } from './messages.js'
import { type Stage, type StageData, stageFromData } from './stage-data.js'
import { ThreadExecutor } from './thread-executor.js'

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

  take(message: ToThread): void {
    switch (message.type) {
      case 'stage':
        this.#stages.set(message.stage.id, message.stage)
        return
      case 'forgetStage':
        this.#stages.delete(message.stageId)
        return
      case 'forgetRdds':
        this.#values.forget(message.rddIds)
        return
      case 'task':
        void this.#run(message.task)
        return
      case 'memory':
        for (const memory of message.memory) this.#pool.give(memory)
        return
      default:
        assertNever(message)
    }
  }

  async #run(task: TaskData): Promise<void> {
    try {
      const result = await this.#executor.run(this.#stage(task.stageId), task)
      const { output } = result
      const transfer = output.type === 'result' ? [output.bytes.buffer as ArrayBuffer] : []
      const updates = this.#accumulators.drain()
      const accumulated = updates.length === 0 ? null : serializeRecords(updates)
      this.#post({ type: 'taskDone', taskId: task.id, ...result, accumulated }, transfer)
    } catch (thrown) {
      // What a task that failed has added does not count.
      this.#accumulators.drain()
      this.#post({ type: 'taskFailed', taskId: task.id, error: errorToData(thrown) })
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

  #post(message: FromThread, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }
}

const port = parentPort!
const start = workerData as ThreadStart
process.setSourceMapsEnabled(true)
try {
  const { loadGraph } = (await import(start.source.module)) as { loadGraph: LoadGraph }
  const graph = await loadGraph(start.source.args, { parallelism: start.parallelism, conf: start.conf })
  const worker = new ExecutorWorker(port, graph, start)
  port.on('message', (message: ToThread) => worker.take(message))
  port.postMessage({ type: 'ready', shape: graphShape(graph.graph) } satisfies FromThread)
} catch (thrown) {
  port.postMessage({ type: 'loadFailed', error: errorToData(thrown) } satisfies FromThread)
}
