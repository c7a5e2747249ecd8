/** The job of `large-shuffle.mjs`: texts of 1,000 characters under keys that come ten times each, grouped by key. */
import { defineJob } from '../../dist/index.js'

const [gigabytes, mapTasks, reduceTasks] = process.env.BENCHMARK_SHUFFLE.split(' ').map(Number)
const perTask = Math.floor((gigabytes * 1e6) / mapTasks)
const keys = (perTask * mapTasks) / 10

export default defineJob({ name: 'large-shuffle' }, async ({ sparkContext }) => {
  const sizes = sparkContext
    .parallelize(
      Array.from({ length: mapTasks }, (_, task) => task),
      mapTasks,
    )
    .mapPartitions(function* ([task]) {
      for (let i = task * perTask; i < (task + 1) * perTask; i++) yield [i % keys, `${i} `.padEnd(1000, String(i))]
    })
    .groupByKey(reduceTasks)
    .map(([key, texts]) => {
      const isRight = texts.length === 10 && texts.every((text) => Number.parseInt(text, 10) % keys === key)
      return { groups: 1, wrong: isRight ? 0 : 1, bytes: texts.reduce((sum, text) => sum + text.length, 0) }
    })
    .reduce((a, b) => ({ groups: a.groups + b.groups, wrong: a.wrong + b.wrong, bytes: a.bytes + b.bytes }))
  const { groups, wrong, bytes } = await sizes
  if (groups !== keys || wrong !== 0) throw new Error(`${groups} groups of ${keys}, ${wrong} of them wrong.`)
  globalThis.millraceBytes = bytes
})
