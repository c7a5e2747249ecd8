/** Several receivers in parallel as one stream: by a shared subscription, and by filters that divide the topics. */
import { MqttMessageReceiver, StreamingContext } from 'millrace'
import { afterEach, expect, test } from 'vitest'
import { mqttSink } from '../../src/mqtt/mqtt-sink.js'
import { Mosquitto } from '../support/mosquitto.js'

const MEMBERS = 3
const KEYS = 30
const EACH = 200
let broker: Mosquitto | null = null
afterEach(async () => {
  await StreamingContext.getActive()?.stop()
  await broker?.close()
})

/** Publishes the numbers 0 … EACH − 1 for each of KEYS keys through receivers on these filters; the numbers of each key as they came, and which receivers had some. */
async function received(filterOf: (member: number) => string) {
  broker = await Mosquitto.start({ config: ['max_queued_messages 0', 'max_inflight_messages 0'] })
  const ssc = new StreamingContext({ appName: 'members', batchInterval: '200ms' })
  const receivers: MqttMessageReceiver[] = []
  const byKey = new Map<string, number[]>()
  let count = 0
  ssc
    .receiverStreams(MEMBERS, (member) => {
      receivers[member] = new MqttMessageReceiver(broker!.url, filterOf(member), { clientId: `member-${member}` })
      return receivers[member]
    })
    .map((message) => [message.topic, Number(Buffer.from(message.payload).toString())])
    .groupByKey()
    .foreachRDD(async (rdd) => {
      for (const [key, numbers] of await rdd.collect()) {
        byKey.set(key, [...(byKey.get(key) ?? []), ...numbers])
        count += [...numbers].length
      }
    })
  await ssc.start()
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await until(() => receivers.every(({ clientId }) => broker!.log.includes(`Sending SUBACK to ${clientId}`)))
  const publish = mqttSink<number>(broker.url, {
    topic: (n) => `s/${n % MEMBERS}/${n % KEYS}`,
    payload: (n) => String(Math.floor(n / KEYS)),
  })
  await publish(Array.from({ length: KEYS * EACH }, (_, n) => n))
  await until(() => count >= KEYS * EACH)
  return { byKey, shares: receivers.map(({ status }) => status?.messages ?? 0) }
}

const inOrder = Array.from({ length: EACH }, (_, i) => i)

test('by filters that divide the topics, each key keeps its order', async () => {
  const { byKey, shares } = await received((member) => `s/${member}/#`)
  expect(byKey.size).toBe(KEYS)
  for (const numbers of byKey.values()) expect(numbers).toEqual(inOrder)
  expect(shares).toEqual(Array(MEMBERS).fill((KEYS * EACH) / MEMBERS))
})

test('by a shared subscription each message comes to one of them, and each key gets them all', async () => {
  const { byKey, shares } = await received(() => '$share/members/s/#')
  expect(byKey.size).toBe(KEYS)
  for (const numbers of byKey.values()) expect(numbers.toSorted((a, b) => a - b)).toEqual(inOrder)
  for (const share of shares) expect(share).toBeGreaterThan(0)
})
