/** A standalone Spark cluster on loopback: a Master and two Workers, on 127.0.0.1 and 127.0.0.2, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { javaModuleOptions } from '../../dist/engine/spark/spark-jvm.js'
import { freePort } from '../support/mosquitto.js'
import { descendantsOf, eventually } from './processes.js'
import { sparkHome, temporaryDirectory } from './spark-driver.js'

const hosts = ['127.0.0.1', '127.0.0.2'] as const
const CORES = 3

/** What the Master says of a worker. */
interface WorkerState {
  readonly host: string
  readonly state: string
}

interface MasterState {
  readonly workers: readonly WorkerState[]
  readonly activeapps: readonly { readonly id: string; readonly name: string }[]
  readonly activedrivers: readonly { readonly id: string; readonly state: string }[]
  readonly completeddrivers: readonly { readonly id: string; readonly state: string }[]
}

export class StandaloneCluster {
  readonly home: string
  readonly url: string
  readonly #page: string
  readonly #directory = temporaryDirectory()
  readonly #master: ChildProcess
  readonly #workers: (ChildProcess | null)[] = [null, null]
  readonly #environment: NodeJS.ProcessEnv
  /** What the processes of the cluster printed. */
  log = ''

  private constructor(home: string, port: number, pagePort: number, environment: NodeJS.ProcessEnv) {
    this.home = home
    this.url = `spark://127.0.0.1:${port}`
    this.#page = `http://127.0.0.1:${pagePort}/json/`
    this.#environment = environment
    const at = ['--host', '127.0.0.1', '--port', String(port), '--webui-port', String(pagePort)]
    this.#master = this.#start('master.Master', at, '127.0.0.1')
  }

  /** Starts Spark of that version; `environment` is what the workers give to all they start. Ready when both workers are. */
  static async start(version: string, environment: NodeJS.ProcessEnv = {}): Promise<StandaloneCluster> {
    const home = await sparkHome(version)
    const cluster = new StandaloneCluster(home, await freePort(), await freePort(), environment)
    try {
      await eventually(() => {
        if (cluster.#master.exitCode !== null) throw new Error(`The Master ended:\n${cluster.log}`)
        return cluster.state()
      })
      for (const index of hosts.keys()) cluster.startWorker(index)
      await cluster.workersAlive(hosts.length)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** What the Master knows, or null while it does not answer. */
  async state(): Promise<MasterState | null> {
    const answer = await fetch(this.#page).catch(() => null)
    // A Master that is starting gives a page for people at this address too.
    const isState = answer?.ok === true && answer.headers.get('content-type')?.includes('json') === true
    return isState ? ((await answer.json()) as MasterState) : null
  }

  /** Resolves when so many workers are alive in the eyes of the Master. */
  async workersAlive(count: number): Promise<void> {
    await eventually(async () => {
      const state = await this.state()
      return state?.workers.filter((worker) => worker.state === 'ALIVE').length === count
    })
  }

  startWorker(index: number): void {
    const host = hosts[index]!
    const work = this.workDirectory(index)
    mkdirSync(work, { recursive: true })
    const args = ['--host', host, '--cores', String(CORES), '--memory', '2g', '--work-dir', work, '--webui-port', '0']
    this.#workers[index] = this.#start('worker.Worker', [...args, this.url], host)
  }

  /** Where a worker keeps the logs of executors and drivers. */
  workDirectory(index: number): string {
    return join(this.#directory, `work-${index}`)
  }

  /** What the drivers on the workers printed. */
  driverLogs(): string {
    return hosts.map((_, index) => this.#errorOutput(index, 'driver-')).join('\n')
  }

  /** What the executors of a worker printed: those that run, and those that ran. */
  executorLogs(index: number): string {
    return this.#errorOutput(index, 'app-')
  }

  /** Kills a worker as a crash would: its executors notice, and end. */
  killWorker(index: number): void {
    this.#workers[index]!.kill('SIGKILL')
    this.#workers[index] = null
  }

  /** The executors that run now, as process ids. */
  executors(): number[] {
    return this.#workers.flatMap((worker) =>
      worker === null ? [] : descendantsOf(worker.pid!, /CoarseGrainedExecutorBackend/),
    )
  }

  /** Everything the workers started that runs now and whose command line fits. */
  descendants(command: RegExp): number[] {
    return this.#workers.flatMap((worker) => (worker === null ? [] : descendantsOf(worker.pid!, command)))
  }

  /** Stops all of it; resolves when no process is left. */
  async stop(): Promise<void> {
    const running = [...this.#workers, this.#master].filter((child) => child !== null)
    const alive = running.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    const ended = alive.map((child) => new Promise((resolve) => child.once('exit', resolve)))
    for (const child of alive) child.kill('SIGTERM')
    await Promise.all(ended)
  }

  #errorOutput(index: number, owner: string): string {
    const work = this.workDirectory(index)
    const logs = (readdirSync(work, { recursive: true }) as string[])
      .filter((name) => name.startsWith(owner) && basename(name) === 'stderr')
      .map((name) => readFileSync(join(work, name), 'utf8'))
    return logs.join('\n')
  }

  #start(main: string, args: readonly string[], host: string): ChildProcess {
    const java = process.env.JAVA_HOME === undefined ? 'java' : join(process.env.JAVA_HOME, 'bin', 'java')
    const command = ['-Xmx256m', ...javaModuleOptions, '-cp', join(this.home, 'jars', '*')]
    const child = spawn(java, [...command, `org.apache.spark.deploy.${main}`, ...args], {
      cwd: this.#directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...this.#environment,
        SPARK_HOME: this.home,
        SPARK_SCALA_VERSION: '2.13',
        SPARK_LOCAL_IP: host,
        // What Spark calls the host in addresses it gives to others.
        SPARK_PUBLIC_DNS: host,
      },
    })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log += text
      })
    return child
  }
}
