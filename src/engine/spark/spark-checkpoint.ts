/**
 * The checkpoint of a job on Spark. Spark's own checkpoint and its logs hold what was received and which batch it belongs to; beside them
 * lies what only the Node driver knows: which batches are done, what other inputs took, and state, under the operators' ids.
 *
 *     checkpoint-<time>, receivedData/, receivedBlockMetadata/   Spark's
 *     millrace/job.json                       whose checkpoint it is
 *     millrace/batches/<time>.json            a batch that is done, with its input, and the state saved with it
 *     millrace/inputs.json                    what inputs other than receivers took last
 *     millrace/state/<operator>/<time>        state, for another process
 *     millrace/state/<operator>/<time>-live   the same as it is in the executors, for when one of them is lost
 *
 * A batch is done when its file is there, whole. Spark tells a new driver of every batch that its own checkpoint does not know as
 * done, and of all times since; what is done here is not done again.
 */
import type { DStreamGraph, InputNode } from '../../dstream/dstream-graph.js'
import type { StreamNode } from '../../dstream/stream-node.js'
import { MillraceError, toError } from '../../errors.js'
import type { JobDescription } from '../../rdd/job-runner.js'
import { assertSameJob } from '../../scheduler/checkpoint.js'
import { layerDirectory, savedRdd, statefulNodes, unknownOperator } from '../../scheduler/restored-states.js'
import type { Time } from '../../time.js'
import type { CheckpointedJob, EarlierStatus, JobCheckpoint } from '../job-checkpoint.js'
import type { BatchAnnouncement } from './bridge-connection.js'
import type { CheckpointFiles } from './checkpoint-files.js'
import type { SparkRunner } from './spark-runner.js'

const FORMAT_VERSION = 3
/** Savings of an operator that stay: RDDs of before the latest may still be made of an earlier one. */
const SAVINGS_KEPT = 3

interface JobFile {
  readonly formatVersion: number
  readonly job: string
  readonly batchMs: number
  readonly zeroTime: Time
  /** The operators of the receivers: Spark's checkpoint holds as many, in this order. */
  readonly receivers: readonly string[]
}

interface SavedState {
  readonly operator: string
  readonly partitions: number
  readonly isHashed: boolean
}

interface BatchFile {
  readonly time: Time
  readonly status: Exclude<EarlierStatus, 'pending'>
  readonly inputs: BatchAnnouncement['inputs']
  readonly states: readonly SavedState[]
  readonly error?: string
}

/** By input: what it wants remembered, as of the batch of `time`. */
interface InputsFile {
  readonly time: Time
  readonly memories: Readonly<Record<string, unknown>>
}

export interface SparkCheckpointParts {
  readonly files: CheckpointFiles
  readonly runner: SparkRunner
  /** What Spark announced for a batch. */
  readonly announced: (time: Time) => BatchAnnouncement | undefined
}

export class SparkCheckpoint implements JobCheckpoint {
  readonly #job: CheckpointedJob
  readonly #parts: SparkCheckpointParts
  readonly #batches: Map<Time, BatchFile>
  readonly #earlier: JobFile | null
  readonly clockCatchesUp: boolean
  #inputs: InputsFile | null
  #receivers: readonly string[] = []
  /** The times at which the state of each operator was saved, oldest first. */
  readonly #savings = new Map<string, Time[]>()
  /** Operators whose state could not be saved when it was due. */
  readonly #overdue = new Set<StreamNode>()

  private constructor(
    job: CheckpointedJob,
    parts: SparkCheckpointParts,
    found: { job: JobFile | null; batches: readonly BatchFile[]; inputs: InputsFile | null; catchesUp: boolean },
  ) {
    this.#job = job
    this.#parts = parts
    this.#earlier = found.job
    this.#inputs = found.inputs
    this.clockCatchesUp = found.catchesUp
    const inOrder = [...found.batches].sort((a, b) => a.time - b.time)
    this.#batches = new Map(inOrder.map((batch) => [batch.time, batch]))
    for (const { time, states } of inOrder) for (const { operator } of states) this.#savingsOf(operator).push(time)
  }

  /** Reads what is there. Throws `CHECKPOINT_MISMATCH` and `CHECKPOINT_VERSION`, and `CHECKPOINT_INVALID` for files that cannot be read. */
  static async open(
    job: CheckpointedJob,
    parts: SparkCheckpointParts,
    hasSparkCheckpoint: boolean,
  ): Promise<SparkCheckpoint> {
    const { files } = parts
    try {
      const jobFile = await files.read<JobFile>('millrace/job.json')
      if (jobFile !== null) assertSameJob(jobFile, job, FORMAT_VERSION)
      const batches = await files.readAll<BatchFile>('millrace/batches')
      const inputs = await files.read<InputsFile>('millrace/inputs.json')
      const checkpoint = new SparkCheckpoint(job, parts, {
        job: jobFile,
        batches,
        inputs,
        catchesUp: hasSparkCheckpoint,
      })
      await checkpoint.#tidy()
      return checkpoint
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown
      throw new MillraceError(
        'CHECKPOINT_INVALID',
        `A file in ${files.path('millrace')} is damaged: ${thrown.message}`,
        {
          cause: thrown,
        },
      )
    }
  }

  get zeroTime(): Time | null {
    return this.#earlier?.zeroTime ?? null
  }

  get batches(): ReadonlyMap<Time, BatchFile> {
    return this.#batches
  }

  get lastBegun(): Time | null {
    const last = Math.max(this.#inputs?.time ?? Number.NEGATIVE_INFINITY, ...this.#batches.keys())
    return Number.isFinite(last) ? last : null
  }

  /** True if an earlier run, or this one, has done with the batch of `time`. */
  isDone(time: Time): boolean {
    return this.#batches.has(time)
  }

  async started(zeroTime: Time): Promise<void> {
    const { job, batchMs } = this.#job
    const receivers = this.#receivers
    await this.#parts.files.write('millrace/job.json', {
      formatVersion: FORMAT_VERSION,
      job,
      batchMs,
      zeroTime,
      receivers,
    } satisfies JobFile)
  }

  restoreState(graph: DStreamGraph): void {
    const nodes = statefulNodes(graph)
    for (const [operator, times] of this.#savings) {
      const time = times.at(-1)!
      const node = nodes.get(operator)
      if (node === undefined) throw unknownOperator(operator, [...nodes.keys()])
      const saved = this.#batches.get(time)!.states.find((state) => state.operator === operator)!
      node.restore(time, [savedRdd(graph, this.#parts.files.path(stateDirectory(operator, time)), saved)])
    }
  }

  /** Notes the receivers of the graph, in order. Throws `CHECKPOINT_MISMATCH` when the earlier run had others. */
  checkReceivers(receivers: readonly string[]): void {
    this.#receivers = receivers
    const before = this.#earlier?.receivers
    if (before === undefined || before.join() === receivers.join()) return
    throw new MillraceError(
      'CHECKPOINT_MISMATCH',
      `The checkpoint in ${this.#job.directory} has the receivers ${before.join(', ') || 'none'}, this job ${receivers.join(', ') || 'none'}. Spark's checkpoint holds their number and order: keep them, or use an empty directory.`,
      { details: { directory: this.#job.directory, expected: before, found: receivers } },
    )
  }

  resumeInputs(graph: DStreamGraph): void {
    const last = this.lastBegun
    if (last === null) return
    const completed = [...this.#batches].flatMap(([time, { status }]) => (status === 'completed' ? [time] : []))
    for (const input of graph.inputs) {
      input.resume({ completed, last, memory: this.#inputs?.memories[input.id] ?? null })
    }
  }

  async inputsTaken(time: Time, graph: DStreamGraph): Promise<void> {
    const news = graph.inputs.flatMap((input: InputNode) => {
      const memory = input.toRemember(time)
      return memory === null ? [] : [[input.id, memory] as const]
    })
    if (news.length === 0) return
    this.#inputs = { time, memories: { ...this.#inputs?.memories, ...Object.fromEntries(news) } }
    await this.#parts.files.write('millrace/inputs.json', this.#inputs)
  }

  async completed(time: Time, graph: DStreamGraph): Promise<void> {
    const states: SavedState[] = []
    for (const node of graph.nodes) {
      if (!node.mustCheckpoint || !(node.isCheckpointTime(time) || this.#overdue.has(node))) continue
      const saved = await this.#saved(node, time)
      if (saved !== null) states.push(saved)
    }
    await this.#done({ time, status: 'completed', states })
  }

  async skipped(time: Time, error: Error): Promise<void> {
    await this.#done({ time, status: 'skipped', states: [], error: error.message })
  }

  async finish(time: Time, graph: DStreamGraph): Promise<void> {
    const states: SavedState[] = [...(this.#batches.get(time)?.states ?? [])]
    for (const node of graph.nodes) {
      if (!node.mustCheckpoint || states.some(({ operator }) => operator === node.id)) continue
      const saved = await this.#saved(node, time)
      if (saved !== null) states.push(saved)
    }
    await this.#done({ time, status: 'completed', states })
  }

  keepFrom(graph: DStreamGraph, time: Time): Time {
    const saved = graph.nodes
      .filter((node) => node.mustCheckpoint)
      .map((node) => this.#savings.get(node.id)?.at(-1) ?? graph.zeroTime)
    return Math.min(time, ...saved)
  }

  /** Forgets the batches before `time`, but those whose state is the latest there is. */
  async forgetBefore(time: Time): Promise<void> {
    const needed = new Set([...this.#savings.values()].map((times) => times.at(-1)))
    const old = [...this.#batches.keys()].filter((batch) => batch < time && !needed.has(batch))
    for (const batch of old) this.#batches.delete(batch)
    await this.#parts.files.delete(old.map(batchFile))
  }

  async stop(): Promise<void> {}

  async close(): Promise<void> {}

  async #done(batch: Omit<BatchFile, 'inputs'>): Promise<void> {
    const { time } = batch
    const inputs = this.#parts.announced(time)?.inputs ?? this.#batches.get(time)?.inputs ?? []
    const file = { ...batch, inputs }
    await this.#parts.files.write(batchFile(time), file)
    this.#batches.set(time, file)
    const old: string[] = []
    for (const { operator } of batch.states) {
      const times = this.#savingsOf(operator)
      if (times.at(-1) !== time) times.push(time)
      const gone = times.splice(0, Math.max(0, times.length - SAVINGS_KEPT))
      old.push(...gone.flatMap((each) => [stateDirectory(operator, each), `${stateDirectory(operator, each)}-live`]))
    }
    await this.#parts.files.delete(old)
  }

  /** Saves the state of an operator as of `time`; null when it has none, or when it could not be saved: then the next batch tries again. */
  async #saved(node: StreamNode, time: Time): Promise<SavedState | null> {
    const rdd = node.generated.get(time)
    if (rdd === undefined) return null
    const operator = node.id
    const { files, runner } = this.#parts
    const directory = files.path(stateDirectory(operator, time))
    const job: JobDescription = {
      batchTime: time,
      outputId: null,
      name: `save the state of ${operator}`,
      callSite: node.callSite,
    }
    try {
      // First as it is, so that its history ends here; then in the form another process reads.
      rdd.lineage = await runner.cut(rdd.lineage, `${directory}-live`, job)
      const saved = node.saved(rdd)
      await runner.checkpoint(saved.lineage, directory, job)
      this.#overdue.delete(node)
      return { operator, partitions: saved.numPartitions, isHashed: saved.partitioner?.type === 'hash' }
    } catch (thrown) {
      this.#overdue.add(node)
      this.#job.onError(`The state of ${operator} could not be saved; the next batch tries again`, toError(thrown))
      return null
    }
  }

  #savingsOf(operator: string): Time[] {
    let times = this.#savings.get(operator)
    if (times === undefined) {
      times = []
      this.#savings.set(operator, times)
    }
    return times
  }

  /** Deletes the state that a run which was killed had not finished, and what only its executors needed. */
  async #tidy(): Promise<void> {
    const { files } = this.#parts
    for (const directory of await files.list('millrace/state')) {
      const latest = this.#savings.get(decodeURIComponent(directory))?.at(-1)
      const names = await files.list(`millrace/state/${directory}`)
      await files.delete(
        names.filter((name) => name !== String(latest)).map((name) => `millrace/state/${directory}/${name}`),
      )
    }
    for (const times of this.#savings.values()) times.splice(0, times.length - 1)
  }
}

function batchFile(time: Time): string {
  return `millrace/batches/${time}.json`
}

function stateDirectory(operator: string, time: Time): string {
  return layerDirectory('millrace/state', operator, String(time))
}
