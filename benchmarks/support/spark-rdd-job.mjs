/** The programs of `spark-rdd.mjs` in TypeScript's world: the same as those of `spark-rdd.py`, line by line. */
import { defineJob } from '../../dist/index.js'

const { WORDS, READINGS, PARTITIONS, ROUNDS } = process.env
const partitions = Number(PARTITIONS)

const programs = {
  words: (lines) =>
    lines
      .flatMap((line) => line.split(' '))
      .map((word) => [word, 1])
      .reduceByKey((a, b) => a + b),
  means: (lines) =>
    lines
      .map((line) => JSON.parse(line))
      .map((reading) => [reading.id, [reading.v, 1]])
      .reduceByKey((a, b) => [a[0] + b[0], a[1] + b[1]])
      .mapValues(([sum, count]) => sum / count),
}
const files = { words: WORDS, means: READINGS }

export default defineJob({ name: 'spark-rdd', batchInterval: '1s' }, async ({ sparkContext }) => {
  // Workers know the functions given before the first action: so every round's RDDs are described first.
  const kept = {}
  const jobs = []
  for (const name of Object.keys(programs)) {
    kept[name] = sparkContext.textFile(files[name], partitions).persist()
    for (let round = 0; round <= Number(ROUNDS); round++) {
      jobs.push({ name, from: 'file', rdd: programs[name](sparkContext.textFile(files[name], partitions)) })
      jobs.push({ name, from: 'memory', rdd: programs[name](kept[name]) })
    }
  }
  for (const rdd of Object.values(kept)) await rdd.count()
  for (const { name, from, rdd } of jobs) {
    const start = performance.now()
    const pairs = await rdd.collect()
    const ms = performance.now() - start
    const sum = pairs.reduce((total, [, value]) => total + value, 0)
    console.log(JSON.stringify({ name, from, ms, pairs: pairs.length, sum }))
  }
})
