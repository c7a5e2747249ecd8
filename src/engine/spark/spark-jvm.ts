/** Starts the driver JVM: Java, the jars of Spark, the bridge jar, and the flags Spark wants on Java 17. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../../errors.js'
import { BridgeConnection, describeChild } from './bridge-connection.js'

/** Spark's own list (launcher/JavaModuleOptions), for a driver that spark-submit did not start. */
const openedPackages = [
  'java.lang',
  'java.lang.invoke',
  'java.lang.reflect',
  'java.io',
  'java.net',
  'java.nio',
  'java.util',
  'java.util.concurrent',
  'java.util.concurrent.atomic',
  'jdk.internal.ref',
  'sun.nio.ch',
  'sun.nio.cs',
  'sun.security.action',
  'sun.util.calendar',
]
const LOG_LINES_MAX = 40

/** Flags a JVM needs to run Spark on Java 17 and later. */
export const javaModuleOptions: readonly string[] = [
  '-XX:+IgnoreUnrecognizedVMOptions',
  ...openedPackages.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
  '--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED',
  '-Djdk.reflect.useDirectMethodHandle=false',
  '-Dio.netty.tryReflectionSetAccessible=true',
]

/** The bridge jar that comes with this package. */
export const bridgeJar: string = fileURLToPath(new URL('../../../bridge/target/millrace-bridge.jar', import.meta.url))

export interface SparkJvmOptions {
  /** The directory that holds Spark's `jars`. */
  readonly sparkHome: string
  /** The java command. @default `$JAVA_HOME/bin/java`, else `java` */
  readonly java?: string
  /** More flags for the JVM, such as `-Xmx1g`. */
  readonly javaOptions?: readonly string[]
  /** More environment for the JVM and what it starts. */
  readonly env?: NodeJS.ProcessEnv
  /** Takes what the JVM prints. @default this process's standard error */
  readonly onLog?: (text: string) => void
}

/** A driver JVM that this process started. It ends when this process does: its stdin closes. */
export interface SparkJvm {
  readonly connection: BridgeConnection
  readonly pid: number
  /** Resolves when the JVM has ended. */
  readonly exited: Promise<void>
}

/** Starts a driver JVM; it has greeted when this resolves. Rejects with `JAVA_NOT_FOUND`, `SPARK_NOT_FOUND` or `SPARK_FAILED`. */
export async function startSparkJvm(options: SparkJvmOptions): Promise<SparkJvm> {
  if (!existsSync(bridgeJar)) {
    throw new MillraceError(
      'SPARK_NOT_FOUND',
      `The bridge jar ${bridgeJar} is missing. Build it with npm run build:bridge.`,
    )
  }
  const env = { ...process.env, ...options.env }
  const java = options.java ?? (env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java')
  const classpath = `${bridgeJar}:${join(options.sparkHome, 'jars')}/*`
  const args = [
    ...javaModuleOptions,
    ...(options.javaOptions ?? []),
    '-cp',
    classpath,
    'io.millrace.bridge.Main',
    'serve',
  ]
  const child = spawn(java, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // The launcher library that starts executors looks for this where there is no build directory.
    env: { ...env, SPARK_HOME: options.sparkHome, SPARK_SCALA_VERSION: env.SPARK_SCALA_VERSION ?? '2.13' },
  })
  const lines: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n').filter((line) => line !== ''))
    lines.splice(0, Math.max(0, lines.length - LOG_LINES_MAX))
    if (options.onLog === undefined) process.stderr.write(text)
    else options.onLog(text)
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) =>
      reject(
        new MillraceError(
          'JAVA_NOT_FOUND',
          `Cannot start ${java}: Spark needs Java 17 or later. Install it, or set JAVA_HOME.`,
          { cause },
        ),
      ),
    )
  })
  const describe = describeChild('The JVM of the Spark driver', child, () => lines.join('\n'))
  const connection = new BridgeConnection(child.stdout, child.stdin, describe)
  await connection.ready
  return { connection, pid: child.pid!, exited }
}
