/** A job on a standalone cluster with a checkpoint: whatever is killed, nothing acknowledged is lost, state is exact, and no process is left. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { mqttSink } from '../../dist/mqtt/mqtt-sink.js'
import { startCli } from '../cli/cli.js'
import { Mosquitto } from '../support/mosquitto.js'
import { commandOf, descendantsOf, eventually, isAlive } from './processes.js'
import { linesOf, NEWEST, removeDirectories, temporaryDirectory, versions } from './spark-driver.js'
import { StandaloneCluster } from './standalone-cluster.js'

const settings = ['--conf', 'spark.executor.memory=512m', '--conf', 'spark.default.parallelism=2']
const job = fileURLToPath(new URL('fixtures/counting-job.ts', import.meta.url))

describe.each(Number(process.env.MILLRACE_BUDGET ?? 1) > 1 ? versions : [NEWEST])(
  'On Spark %s, a standalone cluster of two workers',
  { timeout: 600_000 },
  (version) => {
    const mark = `millrace-recovery-${process.pid}-${version}`
    let broker: Mosquitto
    let cluster: StandaloneCluster
    let directory: string
    let published = 0

    beforeAll(async () => {
      directory = temporaryDirectory()
      broker = await Mosquitto.start({ persistence: true, config: ['max_queued_messages 0', 'autosave_interval 1'] })
      cluster = await StandaloneCluster.start(version, { MQTT_URL: broker.url, MILLRACE_MARK: mark })
    }, 600_000)
    afterAll(async () => {
      await cluster.stop()
      await broker.close()
      removeDirectories()
    })

    const output = (): string => join(directory, 'output')
    /** Publishes messages of one number each, the same to both topics. */
    const publish = async (count: number): Promise<void> => {
      const numbers = Array.from({ length: count }, () => published++)
      for (const topic of ['plant', 'lab']) {
        const send = mqttSink<number>(broker.url, { topic: `${topic}/n`, payload: (n) => `${topic}-${n}`, qos: 1 })
        await send(numbers)
      }
    }
    const totals = (): { time: number; keys: number; sum: number } => {
      const last = linesOf(`${output()}.totals`).at(-1)
      return last === undefined ? { time: 0, keys: 0, sum: 0 } : JSON.parse(last)
    }
    const allCounted = (): Promise<unknown> => eventually(() => totals().keys === 2 * published)
    const run = (): ReturnType<typeof startCli> =>
      startCli(['run', job, '--master', cluster.url, '--checkpoint', join(directory, 'checkpoint'), ...settings], {
        env: { SPARK_HOME: cluster.home, MQTT_URL: broker.url, OUTPUT: output(), MILLRACE_MARK: mark },
      })
    /** The processes of the job that run now, wherever: all but Master and Workers carry the mark, and these are known. */
    const marked = (): number[] =>
      readdirSync('/proc')
        .map(Number)
        .filter((pid) => Number.isInteger(pid) && isAlive(pid) && environmentOf(pid).includes(mark))
        .filter((pid) => !/deploy\.(master|worker)\./.test(commandOf(pid)))
    const driverJvm = (): number => descendantsOf(process.pid, /io\.millrace\.bridge\.Main serve/)[0]!

    it('loses nothing and counts nothing twice when drivers, executors and workers are killed', async () => {
      let driver = run()
      onTestFailed(() => console.error(`The driver said:\n${driver.stderr}`))
      await eventually(() =>
        ['plant', 'lab'].every((topic) => broker.log.includes(`Sending SUBACK to counting-${topic}`)),
      )
      await publish(100)
      await allCounted()

      process.kill(driverJvm(), 'SIGKILL')
      await publish(100)
      expect((await driver.ended).status).not.toBe(0)
      await eventually(() => marked().length === 0)
      driver = run()
      await allCounted()

      const jvm = driverJvm()
      driver.signal('SIGKILL')
      await publish(100)
      await driver.ended
      await eventually(() => !isAlive(jvm) && marked().length === 0)
      driver = run()
      await allCounted()

      process.kill(cluster.executors()[0]!, 'SIGKILL')
      await publish(100)
      await allCounted()

      cluster.killWorker(1)
      await publish(100)
      await allCounted()
      cluster.startWorker(1)

      driver.signal('SIGINT')
      expect((await driver.ended).status).toBe(0)
      await eventually(() => marked().length === 0)
      expect(totals()).toMatchObject({ keys: 2 * published, sum: 2 * published })
    })
  },
)

function environmentOf(pid: number): string {
  try {
    return existsSync(`/proc/${pid}/environ`) ? readFileSync(`/proc/${pid}/environ`, 'latin1') : ''
  } catch {
    return ''
  }
}
