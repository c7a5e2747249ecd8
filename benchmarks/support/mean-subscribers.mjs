/** The same job twice, a mean per sensor of JSON readings each tenth of a second: by Millrace, and by MQTT.js with RxJS. */

const INTERVAL_MS = 100

/** Each takes a broker's URL, options of the session, and a function that is told how many messages each batch of means is of. */
export const subscribers = {
  async millrace(url, { clientId }, onMeans) {
    const { StreamingContext } = await import('../../dist/index.js')
    const { sensorMeans } = await import('./sensor-means.mjs')
    const ssc = new StreamingContext({ appName: 'means', batchInterval: INTERVAL_MS })
    sensorMeans(ssc, url, ({ messages }) => onMeans(messages), { clientId })
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
