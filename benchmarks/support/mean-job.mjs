/** The job of `executors-mqtt.mjs`, which threads load too. */
import { defineJob } from '../../dist/index.js'
import { sensorMeans } from './sensor-means.mjs'

export default defineJob({ name: 'mean', batchInterval: '1s' }, (ssc) => {
  sensorMeans(ssc, process.env.BENCHMARK_BROKER, (batch) => globalThis.millraceBatches.push(batch))
})
