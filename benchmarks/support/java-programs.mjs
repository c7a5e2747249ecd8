/** Starts the Java programs of `benchmarks/java` on Spark, as a user would submit them, without the shell scripts of a Spark distribution. */
import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { javaModuleOptions } from '../../dist/engine/spark/spark-jvm.js'

const project = fileURLToPath(new URL('../java/', import.meta.url))

/** Builds the programs with Maven; does nothing when they are built. */
export function buildJavaPrograms() {
  execFileSync('mvn', ['-B', '-q', 'package'], { cwd: project, stdio: ['ignore', 'ignore', 'inherit'] })
}

/**
 * Starts the program; it ends when the returned `stop` is called, or this process ends. `nextLine` resolves to the next line it prints.
 * `conf` are settings of Spark's.
 */
export function startJava(name, args, sparkHome, conf) {
  const jars = `${project}target/millrace-benchmarks.jar`
  const paho = `${project}target/lib/org.eclipse.paho.client.mqttv3-1.2.5.jar`
  const all = {
    'spark.jars': `${jars},${paho}`,
    'spark.driver.host': '127.0.0.1',
    'spark.driver.bindAddress': '127.0.0.1',
    'spark.log.level': 'ERROR',
    ...conf,
  }
  const child = spawn(
    'java',
    [
      ...javaModuleOptions,
      '-Xmx1g',
      ...Object.entries(all).map(([key, value]) => `-D${key}=${value}`),
      '-cp',
      `${jars}:${paho}:${sparkHome}/jars/*`,
      `io.millrace.benchmarks.${name}`,
      ...args,
    ],
    {
      stdio: ['pipe', 'pipe', process.env.MILLRACE_BENCH_LOG ? 'inherit' : 'ignore'],
      env: { ...process.env, SPARK_HOME: sparkHome, SPARK_LOCAL_IP: '127.0.0.1', SPARK_SCALA_VERSION: '2.13' },
    },
  )
  const lines = createInterface(child.stdout)
  const waiting = lines[Symbol.asyncIterator]()
  const exited = new Promise((resolve) => child.once('exit', resolve))
  return {
    pid: child.pid,
    async nextLine() {
      const { value, done } = await waiting.next()
      if (done) throw new Error(`${name} ended with exit code ${await exited}.`)
      return value
    },
    async stop() {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await exited
      clearTimeout(timer)
    },
  }
}
