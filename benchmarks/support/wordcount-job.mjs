/** The job of `algebra-wordcount.mjs`: rounds of word counts from a file and from memory, each timed, then the peer's and a loop by hand. */
import { defineJob } from '../../dist/index.js'
import { wordLines } from './word-lines.mjs'

const { path, rounds, count } = JSON.parse(process.env.BENCHMARK_WORDS)

export default defineJob({ name: 'wordcount' }, async ({ sparkContext }) => {
  const lines = wordLines(count)
  const sources = { file: () => sparkContext.textFile(path, 4), memory: () => sparkContext.parallelize(lines, 4) }
  // Described before the first action, so that a worker finds them in its module; every round needs a shuffle of its own, whose map
  // side runs once.
  const counts = Object.entries(sources).flatMap(([from, source]) =>
    Array.from({ length: rounds + 1 }, (_, round) => ({
      from,
      round,
      counted: source()
        .flatMap((line) => line.split(' '))
        .map((word) => [word, 1])
        .reduceByKey((a, b) => a + b),
    })),
  )
  for (const { from, round, counted } of counts) {
    const start = performance.now()
    const pairs = await counted.collect()
    const ours = { ms: performance.now() - start, words: pairs.length, sum: pairs.reduce((sum, [, n]) => sum + n, 0) }
    const theirs = await globalThis.peerRun(from)
    const byHand = performance.now()
    countByHand(lines)
    globalThis.tookRound({ from, round, ours, theirs, byHandMs: performance.now() - byHand })
  }
})

/** What a loop and a Map take, from memory. */
function countByHand(lines) {
  const counts = new Map()
  for (const line of lines) {
    for (const word of line.split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return counts
}
