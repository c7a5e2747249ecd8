/** StreamingContext: where a job describes its streams, and the switch that starts and stops them. */
import { kindOf } from './arguments.js'
import { Conf } from './conf.js'
import { ambientLayers } from './conf-sources.js'
import {
  type CheckpointOptions,
  checkContextOptions,
  type StopOptions,
  type StopResult,
  type StreamingContextOptions,
  type StreamingContextParts,
  type StreamingContextState,
} from './context-options.js'
import { DStreamGraph } from './dstream/dstream-graph.js'
import { backPressure, deadLetters, failurePolicy, gracefulStopMs, guarantee, openCheckpoint } from './durability.js'
import type { Engine } from './engine/engine.js'
import { graphShape, operatorPlaces } from './engine/graph-functions.js'
import type { JobCheckpoint } from './engine/job-checkpoint.js'
import { engineFor, settingsWithoutEffect } from './engines.js'
import { MillraceError } from './errors.js'
import { Log } from './log.js'
import {
  becomeActive,
  ceaseActive,
  jobFile,
  noteMade,
  ProcessContexts,
  replacementOfStart,
} from './process-contexts.js'
import { SparkContext } from './rdd/spark-context.js'
import { assertNewReceiver, type Receiver } from './receiver/receiver.js'
import { BatchLoop } from './scheduler/batch-loop.js'
import { ReceiverStates } from './scheduler/receiver-states.js'
import { ListenerBus, type StreamingListener } from './scheduler/streaming-listener.js'
import { Termination } from './scheduler/termination.js'
import { ShutdownHook } from './shutdown-hook.js'
import { localAccess } from './storage/local-access.js'
import { type Duration, systemClock, type Time, toMilliseconds } from './time.js'

/**
 * The entry to streams: make one, describe streams on it, start it.
 *
 * ```ts
 * import { StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'numbers', batchInterval: '100ms' })
 * ssc.queueStream([[1, 2, 3], [4, 5]]).map((n) => n * n).print()
 * await ssc.start()
 * await ssc.awaitTerminationOrTimeout('1s')
 * await ssc.stop({ graceful: true })
 * ```
 */
export class StreamingContext extends ProcessContexts {
  readonly sparkContext: SparkContext
  readonly conf: Conf
  readonly batchInterval: number
  /** @internal */
  readonly graph: DStreamGraph
  readonly #engine: Engine
  readonly #bus = new ListenerBus()
  readonly #receivers = new Map<number, Receiver<unknown>>()
  readonly #batches: BatchLoop
  readonly #log: Log
  #state: StreamingContextState = 'INITIALIZED'
  #checkpointDirectory: string | null
  #checkpoint: JobCheckpoint | null = null
  #createOnError = false
  readonly #termination = new Termination()
  #stopping: Promise<StopResult> | null = null
  #closing: Promise<void> | null = null
  /** The properties its jobs have: those of the program when it started. */
  #properties: ReadonlyMap<string, string> = new Map()
  readonly #hook: ShutdownHook

  /**
   * Throws `ILLEGAL_ARGUMENT` for a missing name and for options there are not, `INVALID_DURATION` for a batch interval that is none, `UNKNOWN_CONF_KEY` and `INVALID_CONF` for settings nobody
   * knows, `UNKNOWN_MASTER` and `MASTER_NEEDS_JOB_MODULE` for a master a script cannot use.
   */
  constructor(options: StreamingContextOptions, parts: StreamingContextParts = {}) {
    super()
    checkContextOptions(options)
    this.batchInterval = toMilliseconds(options.batchInterval)
    if (this.batchInterval === 0) {
      throw new MillraceError('INVALID_DURATION', 'The batch interval must be at least 1 ms.', {
        details: { value: 0 },
      })
    }
    const code = {
      'spark.app.name': options.appName,
      ...(options.master === undefined ? {} : { 'spark.master': options.master }),
    }
    this.conf = Conf.from(options.conf ?? {}, code, ...(parts.ambient ?? ambientLayers()))
    this.#checkpointDirectory = this.conf.get('spark.streaming.checkpoint.directory')
    noteMade(this)
    this.#log = (parts.log ?? Log.fromEnvironment()).with({ app: options.appName })
    this.#engine = (parts.engine ?? engineFor)({
      master: this.conf.get('spark.master'),
      conf: this.conf,
      clock: parts.clock ?? systemClock,
      receivers: this.#receivers,
      listener: new ReceiverStates(this.#bus, this.#log, () => this.#engine.clock.now()),
      bus: this.#bus,
      accumulated: (updates) => this.sparkContext.accumulators.merge(updates),
      onFailure: (error) => this.#stopWith(error),
      source: parts.source ?? null,
      shape: (texts) => graphShape(this.graph, texts),
      places: () => operatorPlaces(this.graph),
      inputRememberMs: () => this.graph.inputRememberMs,
      checkpoints: () => this.#checkpointDirectory !== null,
      stateIntervalMs: () => this.graph.stateIntervalMs,
    })
    this.sparkContext = new SparkContext(options.appName, {
      runner: this.#engine.runner,
      application: () => this.#engine.application ?? null,
      outside: parts.outside ?? localAccess,
      settings: {
        shufflePartitions: this.conf.get('spark.default.parallelism') ?? null,
        takeScaleUp: Math.max(2, this.conf.get('spark.rdd.limit.scaleUpFactor')),
        validatesOutput: this.conf.get('spark.hadoop.validateOutputSpecs'),
      },
      stop: async () => {
        await this.stop({ stopSparkContext: true })
      },
    })
    this.graph = new DStreamGraph(this.sparkContext, this.batchInterval)
    this.#batches = new BatchLoop({
      graph: this.graph,
      engine: this.#engine,
      bus: this.#bus,
      log: this.#log,
      concurrentJobs: this.conf.get('spark.streaming.concurrentJobs'),
      failurePolicy: failurePolicy(this.conf),
      deadLetters: () => deadLetters(this.conf, this.#checkpointDirectory),
      within: ({ time, outputId, name, callSite }, run) =>
        this.sparkContext.jobs.inBatch({ batchTime: time, outputId, name, callSite }, this.#properties, run),
      enough: this.conf.get('millrace.batches') ?? null,
      onEnough: () => void this.stop(),
      onFailed: (error) => this.#stopWith(error),
    })
    this.#hook = new ShutdownHook({
      stop: () => this.stop({ graceful: this.conf.get('spark.streaming.stopGracefullyOnShutdown') }),
      end: (signal) => {
        this.#hook.remove()
        process.kill(process.pid, signal)
      },
      onSlow: () => this.#log.warn('Stopping once what was begun is finished'),
    })
    const pressure = backPressure(this.conf, this.batchInterval, this.#engine)
    if (pressure !== null) this.#bus.add(pressure)
  }

  protected override now(): Time {
    return this.#engine.clock.now()
  }

  protected override assertNew(receiver: Receiver<unknown>): void {
    assertNewReceiver(receiver, this.#receivers.values())
  }

  protected override addReceiver(streamId: number, receiver: Receiver<unknown>): void {
    this.#receivers.set(streamId, receiver)
  }

  /** Where it runs. @internal */
  get engine(): Engine {
    return this.#engine
  }

  /** The receivers, by the id of their stream. @internal */
  get receivers(): ReadonlyMap<number, Receiver<unknown>> {
    return this.#receivers
  }

  // Settings

  /**
   * Sets the directory where the job keeps what it needs to go on after a crash: the log of received data, which batches are
   * done, and state. A job that finds its checkpoint there goes on where the last run ended; null takes the setting back.
   * Received data is acknowledged when it is in the log. With `createOnError` a directory that cannot be read is put aside and
   * the job begins anew; else the start rejects. Throws `CONTEXT_STARTED` after the start.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const ssc = new StreamingContext({ appName: 'meter', batchInterval: '1s' })
   * ssc.checkpoint('/var/lib/meter')
   * ```
   */
  checkpoint(directory: string | null, { createOnError = false }: CheckpointOptions = {}): void {
    this.graph.assertOpen()
    this.#checkpointDirectory = directory
    this.#createOnError = createOnError
  }

  /**
   * Every stream keeps its RDDs for at least `duration`, for `slice` and for looking back. Throws `ILLEGAL_ARGUMENT` the second
   * time, `CONTEXT_STARTED` after the start.
   */
  remember(duration: Duration): void {
    this.graph.setRemember(toMilliseconds(duration))
  }

  addStreamingListener(listener: StreamingListener): void {
    if (typeof listener !== 'object' || listener === null) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `A StreamingListener is an object, not ${kindOf(listener)}.`)
    }
    this.#bus.add(listener)
  }

  removeStreamingListener(listener: StreamingListener): void {
    this.#bus.remove(listener)
  }

  // Life

  getState(): StreamingContextState {
    return this.#state
  }

  /**
   * Starts the receivers and the batch clock; the first batch is at the next multiple of the batch interval. Rejects with
   * `NO_OUTPUT_OPERATION`, with `CONTEXT_STOPPED` after a stop, with `CONTEXT_ALREADY_ACTIVE` when another context of this
   * process runs. On a context that runs it does nothing.
   *
   * While it runs, SIGINT and SIGTERM stop it as `spark.streaming.stopGracefullyOnShutdown` says, unless the program minds these
   * signals itself; what the program does after the termination may take five seconds, then the signal ends it.
   */
  async start(): Promise<void> {
    if (this.#state === 'ACTIVE') {
      this.#log.warn('The streaming context has already been started')
      return
    }
    if (this.#state === 'STOPPED') {
      throw new MillraceError(
        'CONTEXT_STOPPED',
        'A streaming context that has been stopped cannot be started again; make a new one.',
      )
    }
    const replacement = replacementOfStart()
    if (replacement !== null) return await replacement(this)
    becomeActive(this)
    try {
      this.#state = 'ACTIVE'
      if (!ShutdownHook.isTaken) this.#hook.install()
      for (const key of settingsWithoutEffect(this.conf)) {
        this.#log.warn('This setting has no effect on this master', { key, master: this.conf.get('spark.master') })
      }
      this.#properties = new Map(this.sparkContext.jobs.properties)
      this.graph.close('starting')
      this.#checkpoint = await openCheckpoint(this.conf, this.#engine, {
        directory: this.#checkpointDirectory,
        createOnError: this.#createOnError,
        name: this.sparkContext.appName,
        file: jobFile(),
        parallelism: () => this.graph.context.defaultParallelism,
        batchMs: this.batchInterval,
        onError: (message, error) => this.#log.error(message, { error }),
      })
      // Spark keeps received data by rules of its own.
      if (this.#engine.useJournal !== undefined) this.#log.info(guarantee(this.conf, this.#checkpoint !== null))
      // A stop that came meanwhile found no checkpoint to close.
      if (this.#isStopped()) await this.#checkpoint?.close()
      await this.#batches.start(this.#checkpoint, this.conf.get('millrace.recovery.downtime'))
      if (this.#isStopped()) return
      await this.#engine.receivers.start(this.#receivers)
      this.#bus.post('onStreamingStarted', { time: this.#engine.clock.now() })
    } catch (error) {
      // Stopped meanwhile, by a batch that failed for instance: what was waited for went with the engine.
      if (this.#isStopped()) return
      await this.stop()
      throw error
    }
  }

  /** Resolves when the context has stopped; rejects, every time, with the error that stopped it. */
  awaitTermination(): Promise<void> {
    return this.#termination.wait()
  }

  /** As `awaitTermination`, for at most `timeout`: true if the context stopped, false if the time ran out. */
  async awaitTerminationOrTimeout(timeout: Duration): Promise<boolean> {
    return await this.#termination.waitAtMost(toMilliseconds(timeout))
  }

  /**
   * Stops the context; calling it again changes nothing, but that the SparkContext, left to work on with `stopSparkContext`
   * false, is stopped by a second call that wants it so. With `graceful`, first the receivers stop, then everything they
   * received is processed, for at most `spark.streaming.gracefulStopTimeout` (ten batches unless set). Without, the batch that
   * runs is finished and waiting batches are dropped; with a checkpoint directory they run at the next start. Throws `ILLEGAL_STATE`
   * inside a StreamingListener, where waiting would never end. A function given to an output may call it but
   * not await it: the promise it gets rejects with `ILLEGAL_STATE`, while the stop goes its way once the batch is done.
   */
  stop(options: StopOptions = {}): Promise<StopResult> {
    if (this.#bus.isDispatching) {
      throw new MillraceError(
        'ILLEGAL_STATE',
        'A StreamingListener cannot stop its context: the stop would wait for the listener.',
      )
    }
    const stopsAll = options.stopSparkContext ?? this.conf.get('spark.streaming.stopSparkContextByDefault')
    this.#stopping ??= this.#stop(options.graceful ?? false, stopsAll)
    const stopped = this.#stopping.then(async (result) => {
      if (stopsAll) await this.#closeEngine()
      return result
    })
    if (!this.#batches.isInsideJob) return stopped
    const refusal = Promise.reject(
      new MillraceError(
        'ILLEGAL_STATE',
        'A batch cannot wait for the stop of its own context, which waits for the batch: call ssc.stop() there without awaiting it.',
      ),
    )
    // Whoever only calls it has done nothing wrong.
    refusal.catch(() => {})
    return refusal
  }

  /** Resolves when every batch generated so far is done. @internal */
  batchesFinished(): Promise<void> {
    return this.#batches.finished()
  }

  #isStopped(): boolean {
    return this.#state === 'STOPPED'
  }

  /** Ends the engine, once. */
  #closeEngine(): Promise<void> {
    this.#closing ??= this.#engine.close()
    this.sparkContext.markStopped()
    return this.#closing
  }

  async #stop(graceful: boolean, stopsAll: boolean): Promise<StopResult> {
    const wasActive = this.#state === 'ACTIVE'
    this.#state = 'STOPPED'
    this.graph.close('stopping')
    this.#checkpoint?.stopWaiting?.()
    let timedOut = false
    try {
      if (wasActive) {
        timedOut = (await this.#batches.stop(graceful, gracefulStopMs(this.conf, this.batchInterval))).timedOut
        if (graceful && !timedOut && this.#termination.error === null) await this.#batches.saveState()
      }
      // Saving takes the engine.
      await this.#checkpoint?.stop()
      if (stopsAll) await this.#closeEngine()
      await this.#checkpoint?.close()
    } finally {
      ceaseActive(this)
      this.#hook.remove()
      this.#termination.end()
    }
    const { completed, skipped, unfinished } = this.#batches.counts
    const hasUnprocessedInput = this.#engine.receivers.hasUnallocatedBlocks || unfinished > 0
    if (timedOut && hasUnprocessedInput) {
      const fate = this.#checkpoint === null ? 'is lost: there is no checkpoint' : 'runs at the next start'
      this.#log.warn(`The stop reached its deadline before everything was processed; the rest ${fate}`, {
        unfinishedBatches: unfinished,
      })
    }
    return {
      graceful: graceful && this.#termination.error === null && !timedOut,
      timedOut,
      completedBatches: completed,
      skippedBatches: skipped,
      unfinishedBatches: unfinished,
      hasUnprocessedInput,
    }
  }

  #stopWith(error: Error): void {
    this.#termination.because(error)
    // Not awaited here: the stop waits for the batch that is reporting this.
    void this.stop()
  }
}
