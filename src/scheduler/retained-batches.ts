/** The batches of an earlier run that its checkpoint directory still holds, for running one again. Reads; nothing in the directory is changed. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DStreamGraph, Job } from '../dstream/dstream-graph.js'
import type { Engine } from '../engine/engine.js'
import { MillraceError } from '../errors.js'
import { openDirectory } from '../storage/directory-handle.js'
import { decodeEvent, JOURNAL_FORMAT_VERSION, type JournalEvent } from '../storage/journal-events.js'
import { JournalState, type LoggedBatch } from '../storage/journal-state.js'
import { readLog } from '../storage/log-reader.js'
import type { Time } from '../time.js'
import { assertSameJob, neededFrom } from './checkpoint.js'
import { restoreStates } from './restored-states.js'

type Started = Extract<JournalEvent, { type: 'started' }>

/** A batch as the log has it. */
export interface RetainedBatch {
  readonly time: Time
  readonly status: LoggedBatch['status']
  readonly records: number
}

export class RetainedBatches {
  readonly #directory: string
  readonly #state: JournalState
  /** What the run said of itself. */
  readonly started: Started

  private constructor(directory: string, state: JournalState, started: Started) {
    this.#directory = directory
    this.#state = state
    this.started = started
  }

  /**
   * Reads the log of a checkpoint directory, also while its job runs. Rejects with `CHECKPOINT_INVALID` when there is none,
   * and with what reading a log throws.
   */
  static async read(directory: string): Promise<RetainedBatches> {
    const state = new JournalState()
    const log = join(directory, 'log')
    const isThere = await stat(log).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (isThere) {
      await readLog(await openDirectory(log), ({ type, payload, position }) =>
        state.apply(decodeEvent(type, payload), position),
      )
    }
    const started = state.latestOf<'started'>('started')
    if (started !== null) return new RetainedBatches(directory, state, started)
    throw new MillraceError(
      'CHECKPOINT_INVALID',
      `${directory} is no checkpoint directory: no job has written there.`,
      {
        details: { directory },
      },
    )
  }

  /** The batches there are, in order: those the job still needs, and those kept for this. */
  get batches(): RetainedBatch[] {
    return [...this.#logged].map(([time, { status, blocks }]) => {
      return { time, status, records: blocks.reduce((sum, { block }) => sum + block.records, 0) }
    })
  }

  /**
   * Makes the jobs of the batch of `time` again, over a graph that has not started, from the same blocks and the state before
   * them. Rejects with `BATCH_NOT_RETAINED` when these are not there any more, `CHECKPOINT_MISMATCH` for a graph of another job,
   * `UNSUPPORTED` for an input whose data is gone, and on an engine that keeps received data elsewhere.
   */
  async jobsAt(time: Time, graph: DStreamGraph, engine: Engine): Promise<Job[]> {
    const { zeroTime } = this.started
    const job = { job: graph.context.appName, batchMs: graph.batchMs, directory: this.#directory }
    assertSameJob(this.started, job, JOURNAL_FORMAT_VERSION)
    if (engine.takeUp === undefined) {
      throw new MillraceError('UNSUPPORTED', 'A batch can be run again on local and local[N] only, not on Spark.')
    }
    graph.start(zeroTime)
    const before = time - graph.batchMs
    const restored = restoreStates(graph, this.#state, join(this.#directory, 'state'), time - 1)
    const stateTimes = graph.nodes.flatMap((node) => (node.mustCheckpoint ? [restored.get(node) ?? zeroTime] : []))
    const from = Math.max(neededFrom(graph, Math.min(before, ...stateTimes)), zeroTime + 1)
    const logged = this.#logged
    if (!logged.has(time) || from < this.#state.history.from) throw this.#notRetained(time, logged.has(time))
    const batches = new Map([...logged].filter(([at]) => at >= from && at <= time))
    engine.takeUp({ batches, waiting: [], directory: join(this.#directory, 'log') })
    this.#resumeInputs(graph, [...batches.keys()])
    await engine.receivers.start(new Map())
    return await jobsOfLast(batches, graph, engine)
  }

  get #logged(): Map<Time, LoggedBatch> {
    return new Map([...this.#state.history.batches, ...this.#state.batches])
  }

  /** Tells the inputs other than receivers what each batch took. */
  #resumeInputs(graph: DStreamGraph, times: readonly Time[]): void {
    const last = times.at(-1)!
    for (const input of graph.inputs) {
      const key = `input ${input.id}`
      const latest = this.#state.latestOf<'inputTaken'>(key)
      const earlier = this.#state.history.earlier(key).map(({ event }) => event)
      let completed = times
      for (const taken of [...earlier, latest]) {
        const memory = taken?.type === 'inputTaken' ? taken.memory : null
        input.resume({ completed, last, memory })
        completed = []
      }
    }
  }

  #notRetained(time: Time, isThere: boolean): MillraceError {
    const times = [...this.#logged.keys()]
    const range = times.length === 0 ? 'it holds no batch' : `it holds those from ${times[0]} to ${times.at(-1)}`
    const why = isThere
      ? `The batch of ${time} cannot be made again: the state before it, or input it looks back at, is not in ${this.#directory} any more.`
      : `The batch of ${time} is not in ${this.#directory}: ${range}.`
    return new MillraceError(
      'BATCH_NOT_RETAINED',
      `${why} Later batches stay longer when the job runs with a higher millrace.replay.retain (and millrace.replay.maxBytes).`,
      { details: { directory: this.#directory, batchTime: time, first: times[0] ?? null, last: times.at(-1) ?? null } },
    )
  }
}

/** Leads the graph through the batches, as a restart does, and gives the jobs of the last of them. */
async function jobsOfLast(
  batches: ReadonlyMap<Time, LoggedBatch>,
  graph: DStreamGraph,
  engine: Engine,
): Promise<Job[]> {
  const times = [...batches.keys()]
  const last = times.at(-1)!
  graph.earliestTime = times[0]!
  let before: Time | null = null
  for (const [time, { status }] of batches) {
    if (before === null || time > before + graph.batchMs) graph.carryState(before, time)
    before = time
    if (status === 'skipped' && time < last) graph.leaveOutInputs(time)
    else graph.takeInputs(time, await engine.receivers.allocate(time))
  }
  return graph.jobsAt(last)
}
