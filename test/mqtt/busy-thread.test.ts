/** On `local` receivers and tasks share one thread; tasks give way, so a large batch costs no connection. */
import { MqttStringReceiver, StreamingContext } from 'millrace'
import { afterEach, expect, test } from 'vitest'
import { Mosquitto } from '../support/mosquitto.js'

let broker: Mosquitto | null = null
afterEach(async () => {
  await StreamingContext.getActive()?.stop()
  await broker?.close()
})

test('a batch of a million records that takes seconds stops neither the keepalive nor the messages', {
  timeout: 120_000,
}, async () => {
  broker = await Mosquitto.start()
  const ssc = new StreamingContext({ appName: 'busy', batchInterval: '500ms' })
  const receiver = new MqttStringReceiver(broker.url, 'rupesh/gpiotopic', { keepalive: 1 })
  const lines: string[] = []
  const errors: string[] = []
  ssc.addStreamingListener({ onReceiverError: ({ lastError }) => void errors.push(lastError) })
  const million = Array.from({ length: 1_000_000 }, (_, i) => i)
  let started = 0
  let isBatchDone = false
  ssc
    .queueStream([million])
    .map((n) => {
      // Record n is not done before 4 n microseconds have passed: the batch lasts four seconds, four keepalives, on any machine.
      if (started === 0) started = performance.now()
      while (performance.now() < started + n * 0.004);
      return n
    })
    .foreachRDD(async (rdd) => {
      if ((await rdd.count()) === million.length) isBatchDone = true
    })
  const arrived = new Promise<void>((resolve) => {
    ssc.receiverStream(receiver).foreachRDD(async (rdd) => {
      lines.push(...(await rdd.collect()))
      if (isBatchDone && lines.length === 20) resolve()
    })
  })
  await ssc.start()
  while (!broker.log.includes('Sending SUBACK')) await new Promise((resolve) => setTimeout(resolve, 10))
  for (let n = 0; n < 20; n++) {
    await broker.publish('rupesh/gpiotopic', `line ${n}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await arrived
  expect(lines).toEqual(Array.from({ length: 20 }, (_, n) => `line ${n}`))
  expect(errors).toEqual([])
  expect(receiver.status?.connections).toBe(1)
})
