/** Spark's expectations of recovery: every vector of that kind, cut where it says and started again. */
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DStream, StreamingContext } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Log } from '../../dist/log.js'
import { applyPipeline, type PipelineScope, type Step } from '../support/pipeline.js'
import { temporaryDirectory } from '../support/streams.js'
import { comparable, isSubsetWithLast, type Vector, vectorOf, vectors } from '../support/vectors.js'

/** The outputs of several runs of one job on one checkpoint directory, in the order they came. */
class Runs {
  readonly directory = join(temporaryDirectory(), 'checkpoint')
  readonly clock: ManualClock
  readonly seen: [time: number, records: unknown[]][] = []
  readonly #batchMs: number
  readonly #conf: Record<string, unknown>
  readonly #describe: (ssc: StreamingContext) => DStream<unknown>
  /** Called in the middle of each batch. */
  inBatch: (time: number) => void | Promise<void> = () => {}
  #ssc: StreamingContext | null = null

  constructor(
    batchMs: number,
    describeJob: (ssc: StreamingContext) => DStream<unknown>,
    { startMs = 0, conf = {} }: { startMs?: number; conf?: Record<string, unknown> } = {},
  ) {
    this.#batchMs = batchMs
    this.#describe = describeJob
    this.#conf = conf
    this.clock = new ManualClock(startMs)
    onTestFinished(async () => {
      await this.#ssc?.stop()
    })
  }

  /** Begins a run; batches an earlier one left run again. */
  async start(): Promise<void> {
    const parts = { clock: this.clock, log: new Log('silent') }
    const ssc = new StreamingContext({ appName: 'vectors', batchInterval: this.#batchMs, conf: this.#conf }, parts)
    this.#ssc = ssc
    ssc.checkpoint(this.directory)
    this.#describe(ssc).foreachRDD(async (rdd, time) => {
      await this.inBatch(time)
      this.seen.push([time, await rdd.collect()])
    })
    await ssc.start()
    await ssc.batchesFinished()
  }

  async batches(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.clock.advance(this.#batchMs)
      await this.#ssc!.batchesFinished()
    }
  }

  /** Ends the run as it is: nothing that waits is finished. */
  async cut(): Promise<void> {
    await this.#ssc!.stop()
  }

  /** By time, what was seen last: a batch that ran again must give the same. */
  get outputs(): unknown[][] {
    const byTime = new Map<number, unknown[]>()
    for (const [time, records] of this.seen) {
      if (byTime.has(time)) expect(records, `batch ${time} again`).toEqual(byTime.get(time))
      byTime.set(time, records)
    }
    return [...byTime].sort(([a], [b]) => a - b).map(([, records]) => records)
  }
}

/** Describes the pipeline of a vector over an input that every process can give again. */
function describeVector({ params, input }: Vector, extra: (stream: DStream<unknown>) => DStream<unknown> = (s) => s) {
  return (ssc: StreamingContext): DStream<unknown> => {
    const source = ssc.generatedStream<unknown>('testInput', (time) => {
      const batch = input[time / params.batchMs - 1]
      return batch === null ? null : ssc.sparkContext.parallelize((batch ?? []) as object[], params.partitions ?? 2)
    })
    const scope: PipelineScope = { ssc, inputs: [source], checkpointIntervalMs: params.checkpointIntervalMs }
    return extra(applyPipeline(source, params.pipeline as Step[], scope))
  }
}

/** What the operation the vector is about adds to its pipeline. */
function saving(vector: Vector, target: string): ((stream: DStream<unknown>) => DStream<unknown>) | undefined {
  if (vector.op === 'transform') {
    return (stream) =>
      stream.transform((rdd, time) => {
        // The job of the save runs beside the batch, which may run again: what is there is no error.
        saves.push(rdd.saveAsTextFile(`${target}-${time}`, { overwrite: true }))
        return rdd
      })
  }
  if (!vector.op.startsWith('saveAs')) return undefined
  return (stream) => {
    stream.saveAsTextFiles(target)
    return stream
  }
}
let saves: Promise<void>[] = []

const cutOnce = vectors.filter(({ kind, params }) => kind === 'recovery' && params.restartAfterBatches !== undefined)
const withoutFiles = cutOnce.filter(({ id }) => !id.endsWith('file-input-stream'))
const cutOften = vectors.filter(({ kind, params }) => kind === 'recovery' && params.restartAfterBatches === undefined)

describe('Spark recovery, cut once', () => {
  test.each(withoutFiles.map((vector) => [vector.id, vector] as const))('%s', async (_, vector) => {
    saves = []
    const target = join(temporaryDirectory(), 'saved')
    const runs = new Runs(vector.params.batchMs, describeVector(vector, saving(vector, target)))
    await runs.start()
    await runs.batches(vector.params.restartAfterBatches!)
    await runs.cut()
    await runs.start()
    await runs.batches(vector.expected.length - vector.params.restartAfterBatches!)
    await Promise.all(saves)
    expect(comparable(runs.outputs, vector)).toEqual(comparable(vector.expected, vector))
    if (saving(vector, target) === undefined) return
    for (const [i, records] of vector.expected.entries()) {
      const directory = `${target}-${(i + 1) * vector.params.batchMs}`
      const lines = readdirSync(directory)
        .filter((name) => name.startsWith('part-'))
        .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
      expect(lines.sort()).toEqual((records as [string, number][]).map(([key, n]) => `(${key},${n})`).sort())
    }
  })
})

describe('Spark recovery, cut in the middle of batches, again and again', () => {
  test.each(cutOften.map((vector) => [vector.id, vector] as const))('%s', async (_, vector) => {
    // As in Spark: what the input gives belongs to a time, also if nobody ran then.
    const conf = { 'millrace.recovery.downtime': 'each' }
    const runs = new Runs(vector.params.batchMs, describeVector(vector), { conf })
    let batch = 0
    runs.inBatch = () => {
      // Every third batch fails in its output: its run ends there, and the next one does it again.
      if (++batch % 3 === 0) throw new Error('cut')
    }
    for (
      let left = vector.input.length;
      left > 0;
      left = vector.input.length - runs.clock.now() / vector.params.batchMs
    ) {
      await runs.start().catch(() => {})
      await runs.batches(Math.min(left, 2)).catch(() => {})
      await runs.cut()
    }
    runs.inBatch = () => {}
    await runs.start()
    const outputs = runs.outputs
    if (vector.compare === 'subsetWithLast') expect(isSubsetWithLast(outputs, vector.expected)).toBe(true)
    expect(comparable(outputs, vector), 'and more: every batch, once').toEqual(comparable(vector.expected, vector))
  })
})

describe('Spark recovery of a file stream', () => {
  const vector = vectorOf('checkpointsuite/recovery-with-file-input-stream')

  test.each([
    // One batch takes what came while nobody ran.
    ['one', [1, 3, 6, 28, 36, 45]],
    // Each missed time has its batch, as in Spark.
    ['each', [1, 3, 6, 10, 15, 21, 28, 36, 45]],
  ] as const)(`${vector.id} (missed times: %s)`, async (downtime, expected) => {
    const files = temporaryDirectory()
    const { batchMs } = vector.params
    const write = (name: number, modifiedMs: number): void => {
      const path = join(files, String(name))
      writeFileSync(path, `${name}\n`)
      utimesSync(path, modifiedMs / 1000, modifiedMs / 1000)
    }
    const runs = new Runs(
      batchMs,
      (ssc) => {
        const numbers = ssc.textFileStream(files).map(Number)
        const scope: PipelineScope = { ssc, inputs: [numbers], checkpointIntervalMs: undefined }
        return applyPipeline(numbers, vector.params.pipeline as Step[], scope)
      },
      { startMs: 100_000, conf: { 'millrace.recovery.downtime': downtime } },
    )
    await runs.start()
    for (const name of [1, 2]) {
      write(name, runs.clock.now() + 500)
      await runs.batches(1)
    }
    // The third batch is cut while it runs.
    write(3, runs.clock.now() + 500)
    runs.inBatch = () => {
      throw new Error('killed')
    }
    await runs.batches(1)
    await runs.cut()
    runs.inBatch = () => {}
    expect(runs.seen.map(([, records]) => records)).toEqual([[1], [3]])
    for (const name of [4, 5, 6]) {
      write(name, runs.clock.now() + 500)
      runs.clock.advance(batchMs)
    }
    await runs.start()
    for (const name of [7, 8, 9]) {
      write(name, runs.clock.now() + 500)
      await runs.batches(1)
    }
    const seen = runs.seen.map(([, records]) => records[0])
    expect(seen).toEqual(expected)
    if (downtime === 'each') expect(comparable(runs.outputs, vector)).toEqual(comparable(vector.expected, vector))
  })
})
