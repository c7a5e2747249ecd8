/** The same job twice, a mean per sensor of JSON readings each half second: by Millrace, and by MQTT.js with RxJS. */

const INTERVAL_MS = 500

/** Each takes a broker's URL, options of the session, and a function that is told how many messages each batch of means is of. */
export const subscribers = {
  async millrace(url, { clientId }, onMeans) {
    const { MqttJsonReceiver, StreamingContext } = await import('millrace')
    const ssc = new StreamingContext({ appName: 'means', batchInterval: INTERVAL_MS })
    ssc
      .receiverStream(new MqttJsonReceiver(url, 'plant/#', { clientId }))
      .map((reading) => [reading.id, reading.v])
      .combineByKey(
        (value) => ({ sum: value, count: 1 }),
        (mean, value) => {
          mean.sum += value
          mean.count++
          return mean
        },
        (a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }),
      )
      .foreachRDD(async (rdd) => {
        const means = await rdd.collect()
        onMeans(means.reduce((n, [, { count }]) => n + count, 0))
      })
    await ssc.start()
    return { close: () => ssc.stop() }
  },

  async 'mqtt.js + rxjs'(url, { clientId }, onMeans) {
    const mqtt = await import('mqtt')
    const { bufferTime, fromEvent, map } = await import('rxjs')
    const client = mqtt.connect(url, {
      clientId,
      clean: false,
      protocolVersion: 5,
      properties: { receiveMaximum: 65_535, sessionExpiryInterval: 3600 },
    })
    fromEvent(client, 'message', (_topic, payload) => payload)
      .pipe(
        map((payload) => JSON.parse(payload.toString())),
        bufferTime(INTERVAL_MS),
        map((readings) => {
          const means = new Map()
          for (const { id, v } of readings) {
            const mean = means.get(id)
            if (mean === undefined) means.set(id, { sum: v, count: 1 })
            else {
              mean.sum += v
              mean.count++
            }
          }
          return means
        }),
      )
      .subscribe((means) => {
        let messages = 0
        for (const { count } of means.values()) messages += count
        onMeans(messages)
      })
    client.subscribe('plant/#', { qos: 1 })
    return { close: () => client.endAsync(true) }
  },
}
