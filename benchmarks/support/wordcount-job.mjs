/** The job of `algebra-wordcount.mjs`: word counts from a file and from memory, one after the other, each timed. */
import { defineJob } from '../../dist/index.js'
import { wordLines } from './word-lines.mjs'

const { path, rounds, count } = JSON.parse(process.env.BENCHMARK_WORDS)

export default defineJob({ name: 'wordcount' }, async ({ sparkContext }) => {
  const lines = wordLines(count)
  const sources = { file: () => sparkContext.textFile(path, 4), memory: () => sparkContext.parallelize(lines, 4) }
  const counts = Object.entries(sources).flatMap(([from, source]) =>
    // The map side of a shuffle runs once: every round needs a shuffle of its own.
    Array.from({ length: rounds + 1 }, () => ({
      from,
      counted: source()
        .flatMap((line) => line.split(' '))
        .map((word) => [word, 1])
        .reduceByKey((a, b) => a + b),
    })),
  )
  const runs = { file: [], memory: [] }
  for (const { from, counted } of counts) {
    const start = performance.now()
    const pairs = await counted.collect()
    const ms = performance.now() - start
    runs[from].push({ ms, words: pairs.length, sum: pairs.reduce((sum, [, n]) => sum + n, 0) })
  }
  globalThis.millraceRuns = runs
})
