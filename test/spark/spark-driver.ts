/** Starts Spark for a test, through the bridge alone: no job, no DStreams, operations called by hand. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BatchAnnouncement, BridgeConnection } from '../../src/engine/spark/bridge-connection.js'
import type { Operation, SparkEvent, Value } from '../../src/engine/spark/protocol.js'
import { installSpark, testedSparkVersions } from '../../src/engine/spark/spark-install.js'
import { startSparkJvm } from '../../src/engine/spark/spark-jvm.js'
import { writeScriptWorker } from './fixtures/script-worker.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
export const bridgeJar: string = join(root, 'bridge/target/millrace-bridge.jar')

/** The Spark of that version, fetched from Maven Central the first time. */
export async function sparkHome(version: string): Promise<string> {
  execFileSync(process.execPath, [join(root, 'scripts/build-bridge.mjs')])
  return installSpark(version, join(root, '.cache'), () => {})
}

export interface SparkDriver {
  readonly connection: BridgeConnection
  readonly pid: number
  readonly exited: Promise<void>
  /** What `context` answered: Spark's version, the application's id, default parallelism, the UI's address. */
  readonly facts: readonly Value[]
  readonly events: SparkEvent[]
  /** What the JVM, and with a local master its workers, printed. */
  log(): string
  /** Runs operations and gives the chunks of a `collect`, as text, by partition. */
  collect(operations: readonly Operation[], time?: number | null): Promise<string[]>
  /** Resolves when `check` gives something, looking again at each event and batch; rejects when the JVM ends first. */
  until<T>(check: () => T | false | null | undefined | Promise<T | false | null | undefined>): Promise<T>
  stop(): Promise<void>
}

export interface SparkDriverOptions {
  readonly version?: string
  readonly master?: string
  readonly conf?: Readonly<Record<string, string>>
  /** The receiver part of the script worker: an object of frame handlers, as text. */
  readonly receiver?: string
  /** Environment of the Node workers. */
  readonly env?: Readonly<Record<string, string>>
}

const { MILLRACE_SPARK, MILLRACE_BUDGET } = process.env
export const OLDEST: string = MILLRACE_SPARK ?? testedSparkVersions[0]!
export const NEWEST: string = MILLRACE_SPARK ?? testedSparkVersions.at(-1)!
/** The Spark versions this run tests: the one it was told, or the newest and the oldest, or with a budget all of them. */
export const versions: readonly string[] =
  MILLRACE_SPARK !== undefined
    ? [MILLRACE_SPARK]
    : Number(MILLRACE_BUDGET ?? 1) > 1
      ? testedSparkVersions
      : [NEWEST, OLDEST]

/** The Sparks and masters that a whole suite of operations runs on: one, with a budget all versions, and the local mode of Spark too. */
export const grounds: readonly (readonly [version: string, master: string])[] =
  versions.length > 2
    ? [
        ...versions.map((version) => [version, 'local-cluster[2,1,1024]'] as const),
        [NEWEST, 'local[2]'],
        [NEWEST, 'local-cluster[2,2,1024]'],
      ]
    : [[NEWEST, 'local-cluster[2,1,1024]']]

/** A directory of this test's own, removed by `removeDirectories`. */
const directories: string[] = []
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-spark-'))
  directories.push(directory)
  return directory
}
export function removeDirectories(): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
}

export async function openSpark(options: SparkDriverOptions = {}): Promise<SparkDriver> {
  const home = await sparkHome(options.version ?? NEWEST)
  const directory = temporaryDirectory()
  let log = ''
  const jvm = await startSparkJvm({
    sparkHome: home,
    javaOptions: ['-Xmx512m'],
    env: { SPARK_LOCAL_IP: '127.0.0.1' },
    onLog: (text) => {
      log += text
    },
  })
  const { connection } = jvm
  const worker = join(directory, 'millrace-worker.mjs')
  writeScriptWorker(worker, options.receiver)
  const env = Object.entries(options.env ?? {}).map(([name, value]) => `env.${name}=${value}\n`)
  const settings = join(directory, 'millrace-worker.properties')
  writeFileSync(settings, `node=${process.execPath}\nhash=script\n${env.join('')}`)
  const conf = {
    'spark.master': options.master ?? 'local[2]',
    'spark.app.name': 'millrace test',
    'spark.driver.host': '127.0.0.1',
    'spark.driver.bindAddress': '127.0.0.1',
    'spark.ui.enabled': 'false',
    'spark.log.level': 'WARN',
    'spark.jars': bridgeJar,
    'spark.executor.memory': '512m',
    'spark.local.dir': directory,
    'spark.locality.wait': '100ms',
    ...options.conf,
  }
  const facts = (await connection.call([['context', Object.entries(conf)]])).value as Value[]
  await connection.call([['ship', [worker, settings]]])

  const events: SparkEvent[] = []
  const looks = new Set<() => void>()
  connection.on('spark', (event) => {
    events.push(event)
    for (const look of looks) look()
  })
  return {
    connection,
    pid: jvm.pid,
    exited: jvm.exited,
    facts,
    events,
    log: () => log,
    async collect(operations, time = null) {
      const { chunks } = await connection.call(operations, time)
      return chunks.map(({ partition, bytes }) => `${partition}:${bytes}`)
    },
    until(check) {
      return new Promise((resolve, reject) => {
        let looking = false
        let again = false
        const look = async (): Promise<void> => {
          again = true
          if (looking) return
          looking = true
          while (again) {
            again = false
            const found = await check()
            if (found !== false && found !== null && found !== undefined) {
              looks.delete(onChange)
              connection.off('batch', onChange)
              resolve(found)
              return
            }
          }
          looking = false
        }
        const onChange = (): void => void look().catch(reject)
        looks.add(onChange)
        connection.on('batch', onChange)
        connection.once('closed', (error) => reject(error ?? new Error('closed')))
        onChange()
      })
    },
    async stop() {
      await connection.close()
      await jvm.exited
    },
  }
}

/** Runs each batch by collecting every input as text; `onBatch` gets the records, then the batch is finished. */
export function readBatches(
  driver: SparkDriver,
  onBatch: (batch: BatchAnnouncement, records: string[]) => void | Promise<void>,
): void {
  driver.connection.on('batch', (batch) => {
    void (async () => {
      const records: string[] = []
      try {
        for (const [i, input] of batch.inputs.entries()) {
          if (input.partitions === 0) continue
          const { chunks } = await driver.connection.call(
            [
              ['input', 1, batch.time, i + 1],
              ['collect', 1, null],
            ],
            batch.time,
          )
          for (const { bytes } of chunks) if (bytes.length > 0) records.push(...String(bytes).split('\n'))
        }
        await onBatch(batch, records)
        driver.connection.finishBatch(batch.time, null)
      } catch (error) {
        const { name, message } = error as Error
        driver.connection.finishBatch(batch.time, {
          text: message,
          data: { name, message, stack: null, code: null, details: null, cause: null },
        })
      }
    })()
  })
}

/** The lines of a file, none when it is not there yet. */
export function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
}
