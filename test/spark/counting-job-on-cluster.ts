/** Numbered messages through a broker into the counting job, and what the job says of them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mqttSink } from '../../dist/mqtt/mqtt-sink.js'
import { Mosquitto } from '../support/mosquitto.js'
import { commandOf, eventually, isAlive } from './processes.js'
import { linesOf, temporaryDirectory } from './spark-driver.js'
import { StandaloneCluster } from './standalone-cluster.js'

export const countingJob: string = fileURLToPath(new URL('fixtures/counting-job.ts', import.meta.url))

const topics = ['plant', 'lab'] as const

interface Totals {
  readonly keys: number
  readonly sum: number
  readonly newest: Readonly<Record<string, number>>
}

export class CountingJob {
  readonly broker: Mosquitto
  readonly cluster: StandaloneCluster
  readonly directory: string
  /** In the environment of every process of the job, wherever it runs. */
  readonly mark: string
  readonly #sinks: readonly ((numbers: Iterable<number>) => Promise<void>)[]
  #published = 0

  private constructor(broker: Mosquitto, cluster: StandaloneCluster, directory: string, mark: string) {
    this.broker = broker
    this.cluster = cluster
    this.directory = directory
    this.mark = mark
    this.#sinks = topics.map((topic) =>
      mqttSink<number>(broker.url, { topic: `${topic}/n`, payload: (n) => `${topic}-${n}`, qos: 1 }),
    )
  }

  static async prepare(version: string): Promise<CountingJob> {
    const directory = temporaryDirectory()
    const mark = `millrace-${process.pid}-${version}`
    const broker = await Mosquitto.start({
      persistence: true,
      config: ['max_queued_messages 0', 'autosave_interval 1'],
    })
    const environment = { MQTT_URL: broker.url, OUTPUT: join(directory, 'output'), MILLRACE_MARK: mark }
    const cluster = await StandaloneCluster.start(version, environment)
    return new CountingJob(broker, cluster, directory, mark)
  }

  /** For the process that starts the job. */
  get environment(): Record<string, string> {
    return {
      SPARK_HOME: this.cluster.home,
      MQTT_URL: this.broker.url,
      OUTPUT: join(this.directory, 'output'),
      MILLRACE_MARK: this.mark,
    }
  }

  /** Small executors, and the checkpoint. */
  get settings(): string[] {
    const set = {
      'spark.executor.memory': '512m',
      'spark.driver.memory': '512m',
      'spark.default.parallelism': '2',
      'spark.locality.wait': '100ms',
    }
    const conf = Object.entries(set).flatMap(([key, value]) => ['--conf', `${key}=${value}`])
    return ['--master', this.cluster.url, '--checkpoint', join(this.directory, 'checkpoint'), ...conf]
  }

  async subscribed(): Promise<void> {
    await eventually(() => topics.every((topic) => this.broker.log.includes(`Sending SUBACK to counting-${topic}`)))
  }

  /** Publishes messages of one number each, the same to both topics; resolves when the broker has them. */
  async publish(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, () => this.#published++)
    await Promise.all(this.#sinks.map((send) => send(numbers)))
  }

  /** Publishes a few at a time, all the while, until the function it gives is called. */
  keepPublishing(): () => Promise<void> {
    let isStopped = false
    const published = (async () => {
      while (!isStopped) {
        await this.publish(2)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    })()
    return () => {
      isStopped = true
      return published
    }
  }

  /** Publishes one more number to both topics; resolves when the state has it from both: the job has come as far as now. */
  async goesOn(): Promise<void> {
    const number = this.#published
    await this.publish(1)
    await eventually(() => topics.every((topic) => (this.totals.newest[topic] ?? -1) >= number))
  }

  get published(): number {
    return topics.length * this.#published
  }

  /** The state after the last batch: how many messages there are in it, how often they were counted together, and the greatest of each topic. */
  get totals(): Totals {
    const last = linesOf(join(this.directory, 'output.totals')).at(-1)
    return last === undefined ? { keys: 0, sum: 0, newest: {} } : JSON.parse(last)
  }

  /** Resolves when everything published is in the state. */
  async allCounted(): Promise<void> {
    await eventually(() => this.totals.keys === this.published)
  }

  /** The processes of the job that run now: Master and Workers carry the mark too, and are known. */
  processes(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && isAlive(pid) && environmentOf(pid).includes(this.mark))
      .filter((pid) => !/deploy\.(master|worker)\.(Master|Worker) /.test(commandOf(pid)))
  }

  async nothingLeft(): Promise<void> {
    await eventually(() => this.processes().length === 0)
  }

  async close(): Promise<void> {
    await this.cluster.stop()
    await this.broker.close()
  }
}

function environmentOf(pid: number): string {
  try {
    return existsSync(`/proc/${pid}/environ`) ? readFileSync(`/proc/${pid}/environ`, 'latin1') : ''
  } catch {
    return ''
  }
}
