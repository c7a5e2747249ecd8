/** Rate limits reach receivers in Node: what the broker sends beyond them waits in the broker, and nothing is lost. */
import type { StreamingContext } from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Mosquitto } from '../support/mosquitto.js'
import { RawPublisher } from '../support/raw-publisher.js'
import { jobOnSpark } from './job-on-spark.js'
import { eventually } from './processes.js'
import { removeDirectories } from './spark-driver.js'

type MqttJob = typeof import('./fixtures/mqtt-job.js')
type SlowJob = typeof import('./fixtures/slow-job.js')

afterAll(removeDirectories)

/** How many messages each batch of the job has had. */
function sizesOf(ssc: StreamingContext): number[] {
  const sizes: number[] = []
  ssc.addStreamingListener({
    onBatchCompleted: ({ numRecords }) => {
      sizes.push(numRecords)
    },
  })
  return sizes
}

async function publish(broker: Mosquitto, count: number): Promise<void> {
  const publisher = new RawPublisher(broker.port, 'plant/a')
  await publisher.connect()
  await publisher.publish(Array.from({ length: count }, (_, i) => `message ${i}`))
  await publisher.finished()
  await publisher.close()
}

describe('A receiver of MQTT messages on Spark', { timeout: 300_000 }, () => {
  let broker: Mosquitto
  beforeAll(async () => {
    broker = await Mosquitto.start({ persistence: true, config: ['max_queued_messages 0'] })
    process.env.MQTT_URL = broker.url
  })
  afterAll(() => broker.close())

  it('takes no more than spark.streaming.receiver.maxRate says, from the first batch on', async () => {
    const { ssc, module } = await jobOnSpark<MqttJob>('mqtt-job', {
      master: 'local[4]',
      conf: { 'spark.streaming.receiver.maxRate': '50' },
    })
    const sizes = sizesOf(ssc)
    await ssc.start()
    await eventually(() => broker.log.includes('Sending SUBACK to spark-plant'))
    await publish(broker, 250)
    await eventually(() => new Set(module.seen).size === 250)
    expect(module.seen.length).toBe(250)
    // A second's worth may have been saved up, and a block may come a batch late: never all of it at once.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(150)
    await ssc.stop()
  })

  it("slows down to the rate that Spark's estimator finds for a job that cannot follow", async () => {
    const { ssc } = await jobOnSpark<SlowJob>('slow-job', {
      conf: {
        'spark.streaming.backpressure.enabled': 'true',
        'spark.streaming.backpressure.initialRate': '500',
        'spark.streaming.backpressure.pid.minRate': '10',
      },
    })
    const sizes = sizesOf(ssc)
    await ssc.start()
    await eventually(() => broker.log.includes('Sending SUBACK to slow'))
    await publish(broker, 10_000)
    // At 500 a second a batch has 150. What comes in goes down to what is worked off, while the broker has more.
    await eventually(() => Math.max(...sizes) >= 100 && sizes.at(-1)! > 0 && sizes.at(-1)! <= 50)
    expect(sizes.reduce((a, b) => a + b)).toBeLessThan(5000)
    await ssc.stop()
  })
})
