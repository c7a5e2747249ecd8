/** Makes a batch at every tick of the clock: gives it the blocks that wait and asks the graph for its jobs. */
import type { DStreamGraph, Job } from '../dstream/dstream-graph.js'
import type { BatchClock, BlockGroups, ReceiverHost } from '../engine/engine.js'
import type { Time } from '../time.js'
import type { StreamInputInfo } from './streaming-listener.js'

/** The jobs of one batch and what came in for it. */
export interface JobSet {
  readonly time: Time
  readonly jobs: readonly Job[]
  readonly inputs: readonly StreamInputInfo[]
}

export interface JobGeneratorOptions {
  readonly graph: DStreamGraph
  readonly clock: BatchClock
  readonly receivers: ReceiverHost
  readonly submit: (jobs: JobSet) => void
  /** A batch whose jobs could not be made: its blocks stay allocated to it. */
  readonly onError: (time: Time, error: unknown) => void
}

export class JobGenerator {
  readonly #options: JobGeneratorOptions
  /** Batches that are not done: their blocks are still needed, whatever later batches finish before them. */
  readonly #pending = new Set<Time>()

  constructor(options: JobGeneratorOptions) {
    this.#options = options
  }

  /** Starts the clock; the first batch is at the next multiple of the batch interval after now. Returns the zero time, one interval earlier. */
  start(): Time {
    const { graph, clock } = this.#options
    const firstTime = (Math.floor(clock.now() / graph.batchMs) + 1) * graph.batchMs
    graph.start(firstTime - graph.batchMs)
    clock.start(firstTime, graph.batchMs, (time) => this.#generate(time))
    return firstTime - graph.batchMs
  }

  /**
   * Stops the clock. With `finish`, blocks that no batch has taken yet go to one more, cut early at the next batch time:
   * waiting for a long interval to pass would gain nothing.
   */
  async stop(finish: boolean): Promise<void> {
    const { graph, clock, receivers } = this.#options
    const lastTime = await clock.stop()
    if (finish && receivers.hasUnallocatedBlocks) await this.#generate((lastTime ?? graph.zeroTime) + graph.batchMs)
  }

  /** The batch of `time` is done: forget what nobody needs any more. */
  async completed(time: Time): Promise<void> {
    const { graph, receivers } = this.#options
    this.#pending.delete(time)
    const done = Math.min(time, ...[...this.#pending].map((pending) => pending - graph.batchMs))
    graph.forget(done)
    // An input that only its own batch reads is let go with that batch; windows over it make it stay.
    await receivers.release(done - graph.inputRememberMs + graph.batchMs + 1)
  }

  async #generate(time: Time): Promise<void> {
    const { graph, receivers, submit, onError } = this.#options
    this.#pending.add(time)
    try {
      const blocks = await receivers.allocate(time)
      submit({ time, jobs: graph.generateJobs(time, blocks), inputs: inputInfos(graph, blocks) })
    } catch (error) {
      onError(time, error)
    }
  }
}

function inputInfos(graph: DStreamGraph, blocks: ReadonlyMap<number, BlockGroups>): StreamInputInfo[] {
  return graph.inputs.map(({ streamId }) => {
    let numRecords = 0
    for (const group of blocks.get(streamId) ?? []) for (const block of group) numRecords += block.records
    return { streamId, numRecords }
  })
}
