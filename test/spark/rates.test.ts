/** Rate limits reach receivers in Node: what the broker sends beyond them waits in the broker, and nothing is lost. */
import { afterAll, describe, expect, it } from 'vitest'
import { Mosquitto } from '../support/mosquitto.js'
import { RawPublisher } from '../support/raw-publisher.js'
import { jobOnSpark } from './job-on-spark.js'
import { eventually } from './processes.js'
import { removeDirectories } from './spark-driver.js'

type MqttJob = typeof import('./fixtures/mqtt-job.js')

afterAll(removeDirectories)

describe('A receiver of MQTT messages on Spark', { timeout: 300_000 }, () => {
  it('takes no more than spark.streaming.receiver.maxRate says, from the first batch on', async () => {
    const broker = await Mosquitto.start({ persistence: true })
    process.env.MQTT_URL = broker.url
    const { ssc, module } = await jobOnSpark<MqttJob>('mqtt-job', {
      master: 'local[4]',
      conf: { 'spark.streaming.receiver.maxRate': '50' },
    })
    const sizes: number[] = []
    ssc.addStreamingListener({
      onBatchCompleted: ({ numRecords }) => {
        sizes.push(numRecords)
      },
    })
    await ssc.start()
    await eventually(() => broker.log.includes('Sending SUBACK to spark-plant'))
    const messages = Array.from({ length: 400 }, (_, i) => `message ${i}`)
    const publisher = new RawPublisher(broker.port, 'plant/a')
    await publisher.connect()
    await publisher.publish(messages)
    await publisher.finished()
    await publisher.close()
    await eventually(() => new Set(module.seen).size === messages.length)
    expect(module.seen.length).toBe(messages.length)
    // A second's worth may have been saved up, and a block may come a batch late: never all of it at once.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(150)
    await ssc.stop()
    await broker.close()
  })
})
