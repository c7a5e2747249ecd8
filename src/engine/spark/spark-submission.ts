/** A job handed to spark-submit: one jar that holds the bridge and the job's bundle, and the settings. The JVM it starts then starts Node. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Conf } from '../../conf.js'
import { MillraceError } from '../../errors.js'
import { contentHash, writeWhole } from '../content-files.js'
import { withFiles } from './jar-file.js'
import { javaProperties } from './java-properties.js'
import type { SparkBundle } from './spark-bundle.js'
import { sparkConf } from './spark-conf.js'
import { sparkCache } from './spark-home.js'
import { bridgeJar, javaModuleOptions } from './spark-jvm.js'
import { isOnThisMachine } from './spark-master.js'

export interface SubmissionOptions {
  readonly sparkHome: string
  readonly appName: string
  readonly sparkMaster: string
  readonly deployMode: 'client' | 'cluster'
  readonly conf: Conf
  readonly bundle: SparkBundle
  /** Where the jar is written; null for Millrace's cache, under its content's hash. */
  readonly jar: string | null
  /** Start the driver again when it fails: standalone clusters do, in cluster mode. */
  readonly supervise: boolean
}

/**
 * Writes the jar of a job, unless it is there: the bridge, with the bundle in it. Gives its path. Throws `SPARK_NOT_FOUND` when this
 * package holds no bridge.
 */
export function writeJobJar(bundle: SparkBundle, appName: string, path: string | null): string {
  if (!existsSync(bridgeJar)) {
    throw new MillraceError(
      'SPARK_NOT_FOUND',
      `The bridge jar ${bridgeJar} is missing. Build it with npm run build:bridge.`,
    )
  }
  const jar = withFiles(readFileSync(bridgeJar), { 'millrace-job.mjs': Buffer.from(bundle.code) })
  const hash = contentHash(jar)
  const file =
    path === null ? join(sparkCache(), 'jobs', `${appName.replace(/[^\w.-]+/g, '-')}-${hash}.jar`) : resolve(path)
  if (path === null && existsSync(file)) return file
  mkdirSync(dirname(file), { recursive: true })
  writeWhole(file, jar)
  return file
}

/**
 * Starts spark-submit; its output is this process's. In cluster mode it ends when the cluster has taken the job, in client mode with
 * the job. The settings are in a file that only this user can read, and that goes when it ends.
 */
export function startSubmit(jar: string, options: SubmissionOptions): ChildProcess {
  const { sparkHome, appName, sparkMaster, deployMode, conf, supervise } = options
  const directory = mkdtempSync(join(tmpdir(), 'millrace-submit-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const properties = join(directory, 'spark.conf')
  writeFileSync(
    properties,
    `${clusterDefaults(sparkHome)}\n${javaProperties({ ...settings(conf), ...driverOptions(options) })}`,
    { mode: 0o600 },
  )
  const args = [
    ...['--class', 'io.millrace.bridge.Main', '--name', appName, '--master', sparkMaster, '--deploy-mode', deployMode],
    ...['--properties-file', properties, ...(supervise ? ['--supervise'] : []), jar, 'drive'],
  ]
  const script = join(sparkHome, 'bin', 'spark-submit')
  const [command, ...rest] = existsSync(script) ? [script, ...args] : javaCommand(sparkHome, conf, deployMode, args)
  const loopback = isOnThisMachine(sparkMaster) ? { SPARK_LOCAL_IP: process.env.SPARK_LOCAL_IP ?? '127.0.0.1' } : {}
  const child = spawn(command!, rest, {
    stdio: 'inherit',
    env: { SPARK_SCALA_VERSION: '2.13', ...loopback, ...process.env, SPARK_HOME: sparkHome },
  })
  child.once('close', () => {
    process.off('exit', remove)
    remove()
  })
  return child
}

/** Where Spark is only its jars, as `millrace doctor --install-spark` sets it up, there is no script: Java starts the same class. */
function javaCommand(sparkHome: string, conf: Conf, deployMode: string, args: readonly string[]): string[] {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
  const memory = conf.toObject()['spark.driver.memory']
  const heap = deployMode === 'client' && memory !== undefined ? [`-Xmx${memory}`] : []
  const configurations = [process.env.HADOOP_CONF_DIR, process.env.YARN_CONF_DIR].filter((path) => path)
  const classpath = [join(sparkHome, 'conf'), join(sparkHome, 'jars', '*'), ...configurations].join(':')
  return [java, ...javaModuleOptions, ...heap, '-cp', classpath, 'org.apache.spark.deploy.SparkSubmit', ...args]
}

/** The settings as spark-submit takes them: it drops what does not begin with `spark.`, so Millrace's own go by `spark.millrace.`. */
function settings(conf: Conf): Record<string, string> {
  const own = Object.entries(conf.toObject()).filter(([key]) => key.startsWith('millrace.'))
  return {
    'spark.serializer': 'org.apache.spark.serializer.KryoSerializer',
    ...sparkConf(conf),
    ...Object.fromEntries(own.map(([key, text]) => [`spark.${key}`, text])),
  }
}

/** The JVM options of a driver that a standalone cluster starts: it does not give those that Spark wants on Java 17, as others do. */
function driverOptions({ sparkMaster, deployMode, conf }: SubmissionOptions): Record<string, string> {
  if (deployMode === 'client' || !sparkMaster.startsWith('spark://')) return {}
  const key = 'spark.driver.extraJavaOptions'
  return { [key]: [...javaModuleOptions, conf.toObject()[key] ?? ''].join(' ').trim() }
}

/** A properties file given to spark-submit replaces the cluster's defaults: they come first in it. */
function clusterDefaults(sparkHome: string): string {
  const file = join(process.env.SPARK_CONF_DIR ?? join(sparkHome, 'conf'), 'spark-defaults.conf')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
