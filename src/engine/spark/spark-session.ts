/** A SparkContext in a driver JVM, ready for a job: opened, with the job's bundle shipped to every executor. */
import { rmSync } from 'node:fs'
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Conf } from '../../conf.js'
import type { BridgeConnection } from './bridge-connection.js'
import { bridgeJar, findSparkHome, startSparkJvm } from './spark-jvm.js'

/** A file that is all a Node process on an executor needs: the job, Millrace, and the packages of both. */
export interface SparkBundle {
  readonly file: string
  readonly hash: string
}

export interface SparkSessionOptions {
  readonly appName: string
  /** A master of Spark's: `spark://host:port`, `local-cluster[2,1,1024]`, `yarn`, … */
  readonly sparkMaster: string
  readonly conf: Conf
  readonly bundle: SparkBundle
  /** @default what `findSparkHome` finds */
  readonly sparkHome?: string
  /** Takes what the JVM, and on a local master the workers, print. @default standard error */
  readonly onLog?: (text: string) => void
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

function isOnThisMachine(master: string): boolean {
  return /^(local\b|local-cluster\b|spark:\/\/(127\.|localhost\b))/.test(master)
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

  /** Starts a JVM and opens the context in it. Rejects with `JAVA_NOT_FOUND`, `SPARK_NOT_FOUND` or `SPARK_FAILED`. */
  static async open(options: SparkSessionOptions): Promise<SparkSession> {
    const memory = options.conf.toObject()['spark.driver.memory']
    const sparkHome = options.sparkHome ?? findSparkHome()
    const jvm = await startSparkJvm({
      sparkHome,
      javaOptions: memory === undefined ? [] : [`-Xmx${memory}`],
      env: isOnThisMachine(options.sparkMaster) ? { SPARK_LOCAL_IP: process.env.SPARK_LOCAL_IP ?? '127.0.0.1' } : {},
      ...(options.onLog === undefined ? {} : { onLog: options.onLog }),
    })
    try {
      const session = await SparkSession.over(jvm.connection, options, jvm.pid, jvm.exited)
      // The workers of a local cluster keep what they ran with, in the directory of Spark.
      if (/^local-cluster/.test(options.sparkMaster))
        session.#leftovers.push(join(sparkHome, 'work', session.applicationId))
      return session
    } catch (error) {
      await jvm.connection.close()
      throw error
    }
  }

  /** Opens the context in the JVM at the other end of `connection`. */
  static async over(
    connection: BridgeConnection,
    options: SparkSessionOptions,
    pid: number | null,
    exited: Promise<void>,
  ): Promise<SparkSession> {
    const set = options.conf.toObject()
    const jars = [bridgeJar, ...(set['spark.jars'] === undefined ? [] : [set['spark.jars']])].join(',')
    const conf: Record<string, string> = {
      ...defaults,
      ...(isOnThisMachine(options.sparkMaster) ? loopback : {}),
      ...Object.fromEntries(Object.entries(set).filter(([key]) => key.startsWith('spark.'))),
      'spark.app.name': options.appName,
      'spark.master': options.sparkMaster,
      // In cluster mode spark-submit has shipped the jar this JVM runs from.
      ...(pid === null ? {} : { 'spark.jars': jars }),
    }
    const { value } = await connection.call([['context', Object.entries(conf)]])
    const removeShipped = await ship(connection, options)
    const facts = value as unknown as [string, string, number, string | null]
    return new SparkSession(connection, facts, pid, exited, removeShipped)
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
async function ship(connection: BridgeConnection, { bundle, conf }: SparkSessionOptions): Promise<() => void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-ship-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const worker = join(directory, 'millrace-worker.mjs')
  const settings = join(directory, 'millrace-worker.properties')
  await copyFile(bundle.file, worker)
  const text = properties({
    node: conf.get('millrace.node'),
    nodeOptions: `--enable-source-maps ${conf.get('millrace.nodeOptions') ?? ''}`.trim(),
    hash: bundle.hash,
    'env.MILLRACE_CONF': JSON.stringify(travellingConf(conf)),
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

/** A file that java.util.Properties reads. */
function properties(entries: Readonly<Record<string, string>>): string {
  const escaped = (text: string): string =>
    text
      .replace(/[\\=:#! ]/g, '\\$&')
      .replace(/\n/g, '\\n')
      .replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return Object.entries(entries)
    .map(([key, value]) => `${escaped(key)}=${escaped(value)}\n`)
    .join('')
}
