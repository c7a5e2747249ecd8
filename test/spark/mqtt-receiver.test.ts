/** MQTT receivers beside Spark's executors, from a real broker to the output: what is acknowledged when, what may die, what Spark's UI says. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Mosquitto } from '../support/mosquitto.js'
import { type JobOnSpark, jobOnSpark } from './job-on-spark.js'
import { descendantsOf, eventually, isAlive, parentOf } from './processes.js'
import { removeDirectories } from './spark-driver.js'

type MqttJob = typeof import('./fixtures/mqtt-job.js')

const topics = ['plant', 'lab']
const source = readFileSync(new URL('fixtures/mqtt-job.ts', import.meta.url), 'utf8').split('\n')
/** `mqtt-job.ts:7` for the line that has this text. */
const lineOf = (text: string): string => `mqtt-job.ts:${source.findIndex((line) => line.includes(text)) + 1}`
const collects = lineOf('lines.foreachRDD(')
const counts = lineOf('    .foreachRDD(')
const throws = lineOf('throw new RangeError')

describe('MQTT receivers on Spark, master local-cluster[2,2,1024]', { timeout: 600_000 }, () => {
  let broker: Mosquitto
  let job: JobOnSpark<MqttJob>
  let published = 0
  let messages = 0
  const failedOutputs: string[] = []

  beforeAll(async () => {
    broker = await Mosquitto.start({ persistence: true })
    process.env.MQTT_URL = broker.url
    job = await jobOnSpark<MqttJob>('mqtt-job', {
      master: 'local-cluster[2,2,1024]',
      conf: {
        'spark.ui.enabled': 'true',
        'spark.ui.port': '0',
        'spark.streaming.receiverRestartDelay': '100ms',
        'millrace.batch.failurePolicy': 'skip',
      },
    })
    job.ssc.addStreamingListener({
      onOutputOperationCompleted: ({ failureReason }) => {
        if (failureReason !== null) failedOutputs.push(failureReason)
      },
    })
    await job.ssc.start()
    await eventually(() => topics.every((topic) => broker.log.includes(`Sending SUBACK to spark-${topic}`)))
  }, 600_000)
  afterAll(async () => {
    await job.ssc.stop()
    await broker.close()
    removeDirectories()
  })

  /** The Node processes of the receivers that run now. */
  const receivers = (): number[] => descendantsOf(process.pid, /millrace-worker\.mjs receiver/)
  const acknowledged = (): number => broker.log.match(/Received PUBACK from spark-/g)?.length ?? 0
  /** Publishes one message of `count` lines to each topic. */
  const publish = async (count: number): Promise<void> => {
    for (const topic of topics) {
      const lines = Array.from({ length: count }, () => `line ${published++}`)
      await broker.publish(`${topic}/a`, lines.join('\n'))
      messages++
    }
  }
  const everythingSeen = (): boolean => new Set(job.module.seen).size === published
  const page = async (url: string): Promise<string> => (await fetch(url)).text()
  /** What Spark's own REST interface says. */
  const rest = async <T>(path: string): Promise<T> => {
    const { uiWebUrl, applicationId } = job.ssc.sparkContext
    return JSON.parse(await page(`${uiWebUrl}/api/v1/applications/${applicationId}/${path}`)) as T
  }

  it('run in different executors, and give each line once', async () => {
    await publish(20)
    await eventually(() => job.module.counted.size === published)
    expect(everythingSeen()).toBe(true)
    expect([...job.module.counted.values()].every((count) => count === 1)).toBe(true)
    expect(new Set(receivers().map(parentOf)).size).toBe(2)
  })

  it('keep each block in two executors, as Spark’s page of storage says', async () => {
    await publish(5)
    const copies = await eventually(async () => {
      const rows = (await page(`${job.ssc.sparkContext.uiWebUrl}/storage/`)).match(/input-\d+-\d+[\s\S]*?<\/tr>/g)
      return rows?.map((row) => /rowspan="(\d)"/.exec(row)?.[1])
    })
    expect(copies.every((count) => count === '2')).toBe(true)
  })

  it('show batches, jobs and stages in Spark’s UI by the names and lines of the job', async () => {
    await eventually(everythingSeen)
    type Batch = { batchId: number; inputSize: number; status: string }
    const batches = await eventually(async () => {
      const all = await rest<Batch[]>('streaming/batches?status=COMPLETED')
      return all.reduce((sum, { inputSize }) => sum + inputSize, 0) === messages ? all : null
    })
    const { batchId } = batches.find(({ inputSize }) => inputSize > 0)!
    const [output] = await rest<{ jobIds: number[] }[]>(`streaming/batches/${batchId}/operations`)
    const jobs = await rest<{ jobId: number; name: string; description: string }[]>('jobs')
    const ofBatch = output!.jobIds
      .map((id) => jobs.find(({ jobId }) => jobId === id)!)
      .sort((a, b) => a.jobId - b.jobId)
    expect(ofBatch.map(({ name }) => name)).toEqual([`foreachRDD at ${collects}`, `foreachRDD at ${counts}`])
    expect(ofBatch[0]!.description).toBe(`foreachRDD at ${collects}, batch ${new Date(batchId).toISOString()}`)

    const stages = await rest<{ name: string; details: string }[]>('stages')
    expect(stages.map(({ name }) => name)).toContain(
      `received blocks → 3-filter at ${lineOf('.filter(')} → 4-map at ${lineOf('.map(')} → 5-reduceByKey at ${lineOf('.reduceByKey(')}`,
    )
    const { details } = stages.find(({ name }) => name === `foreachRDD at ${collects}`)!
    expect(details).toContain(`test/spark/fixtures/${collects}:`)
  })

  it('acknowledge to the broker only after Spark has stored', async () => {
    await eventually(everythingSeen)
    const before = acknowledged()
    const executors = receivers().map(parentOf)
    for (const pid of executors) process.kill(pid, 'SIGSTOP')
    await publish(10)
    // A ping after the message shows that the receiver is alive and has read it.
    for (const topic of topics) {
      await eventually(() => {
        const since = broker.log.slice(broker.log.lastIndexOf(`Sending PUBLISH to spark-${topic}`))
        return since.includes(`Received PINGREQ from spark-${topic}`)
      })
    }
    expect(acknowledged()).toBe(before)
    for (const pid of executors) process.kill(pid, 'SIGCONT')
    await eventually(() => acknowledged() === before + 2)
    await eventually(everythingSeen)
  })

  it('lose nothing when a Node process is killed, an executor is killed, and the broker is restarted', async () => {
    const [node, other] = receivers()
    process.kill(node!, 'SIGKILL')
    await publish(50)
    await eventually(() => receivers().length === 2)
    await eventually(everythingSeen)

    process.kill(parentOf(other!), 'SIGKILL')
    await publish(50)
    await eventually(() => !isAlive(other!))
    await publish(50)
    await eventually(everythingSeen)

    await broker.end('SIGTERM')
    await broker.restart()
    await publish(50)
    await eventually(everythingSeen)
  })

  it('print the user’s console output into the logs of the executors', async () => {
    const executors = await rest<{ executorLogs: { stderr?: string } }[]>('executors')
    const logs = executors.flatMap(({ executorLogs: { stderr } }) => stderr ?? [])
    const texts = await Promise.all(logs.map((url) => page(`${url}&byteLength=1000000`)))
    expect(texts.join('')).toContain('an executor read line')
  })

  it('fail a batch with the line of the user’s TypeScript, in the driver and in Spark’s UI', async () => {
    await broker.publish('plant/a', 'poison')
    await eventually(() => failedOutputs.length > 0)
    expect(failedOutputs[0]).toContain('Operator 3-filter failed on record "poison": a line nobody can read')
    const [task] = job.module.failures as { code: string; cause: Error }[]
    expect(task!.code).toBe('TASK_FAILED')
    expect(task!.cause).toMatchObject({ name: 'RangeError', message: 'a line nobody can read' })
    expect(task!.cause.stack).toContain(`test/spark/fixtures/${throws}:`)
    const [stage] = await rest<{ failureReason: string }[]>('stages?status=failed')
    expect(stage!.failureReason).toContain('RangeError: a line nobody can read')
    expect(stage!.failureReason).toContain(`${throws}:`)
  })
})
