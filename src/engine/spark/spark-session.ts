/** A SparkContext in a driver JVM, ready for a job: opened, with the job's bundle shipped to every executor. */
import { rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Conf } from '../../conf.js'
import type { GraphSource, LoadOptions } from '../recording-engine.js'
import type { BridgeConnection } from './bridge-connection.js'
import { javaProperties } from './java-properties.js'
import { bundleForSpark, type SparkBundle } from './spark-bundle.js'
import { sparkConf } from './spark-conf.js'
import { findSparkHome } from './spark-home.js'
import { bridgeJar, startSparkJvm } from './spark-jvm.js'
import { isOnThisMachine } from './spark-master.js'

export interface SparkSessionOptions {
  readonly appName: string
  /** A master of Spark's: `spark://host:port`, `local-cluster[2,1,1024]`, `yarn`, … */
  readonly sparkMaster: string
  readonly conf: Conf
  /** True if the job keeps a checkpoint. */
  readonly checkpoints: boolean
  /** Takes what the JVM, and on a local master the workers, print. @default standard error */
  readonly onLog?: (text: string) => void
}

/** The link to a JVM that started this process, and the bundle it was started from. */
export interface AttachedDriver {
  readonly connection: BridgeConnection
  readonly bundle: SparkBundle
}

/** What is the same in every run, unless the user's conf says otherwise. */
const defaults: Readonly<Record<string, string>> = {
  'spark.serializer': 'org.apache.spark.serializer.KryoSerializer',
  'spark.log.level': 'WARN',
  'spark.ui.showConsoleProgress': 'false',
}

/** Where everything is on one machine, nothing of it is reachable from another. */
const loopback: Readonly<Record<string, string>> = {
  'spark.driver.host': '127.0.0.1',
  'spark.driver.bindAddress': '127.0.0.1',
}

export class SparkSession {
  readonly connection: BridgeConnection
  readonly sparkVersion: string
  readonly applicationId: string
  readonly defaultParallelism: number
  readonly uiUrl: string | null
  readonly pid: number | null
  readonly #exited: Promise<void>
  readonly #removeShipped: () => void
  readonly #leftovers: string[] = []

  private constructor(
    connection: BridgeConnection,
    facts: readonly [string, string, number, string | null],
    pid: number | null,
    exited: Promise<void>,
    removeShipped: () => void,
  ) {
    this.#removeShipped = removeShipped
    this.connection = connection
    this.sparkVersion = facts[0]
    this.applicationId = facts[1]
    this.defaultParallelism = facts[2]
    this.uiUrl = facts[3]
    this.pid = pid
    this.#exited = exited
  }

  /**
   * Starts a JVM, opens the context in it and ships the job, whose graph the executors' processes find by `source`. Rejects with `JAVA_NOT_FOUND`, `SPARK_NOT_FOUND`, `SPARK_FAILED`, or
   * `JOB_MODULE_COMPILE_FAILED`.
   */
  static async open(options: SparkSessionOptions, source: GraphSource): Promise<SparkSession> {
    const memory = options.conf.toObject()['spark.driver.memory']
    const sparkHome = findSparkHome()
    // Before the JVM: a job that does not compile should not wait for it.
    const bundle = await bundleForSpark(source)
    const jvm = await startSparkJvm({
      sparkHome,
      javaOptions: memory === undefined ? [] : [`-Xmx${memory}`],
      env: isOnThisMachine(options.sparkMaster) ? { SPARK_LOCAL_IP: process.env.SPARK_LOCAL_IP ?? '127.0.0.1' } : {},
      ...(options.onLog === undefined ? {} : { onLog: options.onLog }),
    })
    try {
      const session = await SparkSession.#over(jvm.connection, options, bundle, jvm.pid, jvm.exited)
      // The workers of a local cluster keep what they ran with, in the directory of Spark.
      if (/^local-cluster/.test(options.sparkMaster))
        session.#leftovers.push(join(sparkHome, 'work', session.applicationId))
      return session
    } catch (error) {
      await jvm.connection.close()
      await jvm.exited
      throw error
    }
  }

  /** Opens the context in the JVM that started this process, which ends with it. */
  static attach({ connection, bundle }: AttachedDriver, options: SparkSessionOptions): Promise<SparkSession> {
    return SparkSession.#over(connection, options, bundle, null, Promise.resolve())
  }

  /** Opens the context in the JVM at the other end of `connection`. */
  static async #over(
    connection: BridgeConnection,
    options: SparkSessionOptions,
    bundle: SparkBundle,
    pid: number | null,
    exited: Promise<void>,
  ): Promise<SparkSession> {
    const set = sparkConf(options.conf)
    // Acknowledged means safe: with a checkpoint, received data is in Spark's log before that, unless the user wants it otherwise.
    const logs =
      options.checkpoints && !options.conf.has('spark.streaming.receiver.writeAheadLog.enable')
        ? { 'spark.streaming.receiver.writeAheadLog.enable': 'true' }
        : {}
    const jars = [bridgeJar, ...(set['spark.jars'] === undefined ? [] : [set['spark.jars']])].join(',')
    const conf: Record<string, string> = {
      ...defaults,
      ...(isOnThisMachine(options.sparkMaster) ? loopback : {}),
      ...set,
      ...logs,
      'spark.app.name': options.appName,
      'spark.master': options.sparkMaster,
      // In cluster mode spark-submit has shipped the jar this JVM runs from.
      ...(pid === null ? {} : { 'spark.jars': jars }),
    }
    const { value } = await connection.call([['context', Object.entries(conf)]])
    const facts = value as unknown as [string, string, number, string | null]
    const parallelism = options.conf.get('spark.default.parallelism') ?? facts[2]
    const removeShipped = await ship(connection, options.conf, bundle, parallelism)
    return new SparkSession(connection, [facts[0], facts[1], parallelism, facts[3]], pid, exited, removeShipped)
  }

  /** Stops Spark and its JVM; resolves when the JVM has ended. */
  async close(): Promise<void> {
    await this.connection.close()
    await this.#exited
    this.#removeShipped()
    for (const path of this.#leftovers) rmSync(path, { recursive: true, force: true })
  }
}

/**
 * Gives every executor the bundle and its settings, under names that never change: nothing of them is frozen into a checkpoint.
 * Executors fetch them from here as long as the application runs; the result removes them.
 */
async function ship(
  connection: BridgeConnection,
  conf: Conf,
  bundle: SparkBundle,
  parallelism: number,
): Promise<() => void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-ship-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const worker = join(directory, 'millrace-worker.mjs')
  const settings = join(directory, 'millrace-worker.properties')
  await writeFile(worker, bundle.code)
  const load: LoadOptions = { parallelism, conf: travellingConf(conf) }
  const text = javaProperties({
    node: conf.get('millrace.node'),
    nodeOptions: `--enable-source-maps ${conf.get('millrace.nodeOptions') ?? ''}`.trim(),
    hash: bundle.hash,
    'env.MILLRACE_WORKER': JSON.stringify(load),
  })
  await writeFile(settings, text)
  await connection.call([['ship', [worker, settings]]])
  return () => {
    process.off('exit', remove)
    remove()
  }
}

/** The settings that Millrace's own code reads in a worker. */
function travellingConf(conf: Conf): Record<string, string> {
  const read = (key: string): boolean => /^(millrace|spark\.streaming|spark\.default|spark\.rdd)\./.test(key)
  return Object.fromEntries(Object.entries(conf.toObject()).filter(([key]) => read(key)))
}
