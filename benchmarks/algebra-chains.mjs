/**
 * Chains of operations and a reduction by key over ten million records on master `local`, against hand-written loops over the
 * same arrays. Every round makes its functions anew, as every batch of a `foreachRDD` does; the first round, in which both
 * sides meet their code for the first time, is not counted. A round says its ratio; the last column is their median.
 *
 *   npm run build && npm run bench -- algebra-chains
 */
import { setTimeout as delay } from 'node:timers/promises'
import { StreamingContext } from '../dist/index.js'

const count = Number(process.env.RECORDS ?? 10_000_000)
const rounds = 6
const { sparkContext } = new StreamingContext({ appName: 'bench', batchInterval: '1s' })
const numbers = Array.from({ length: count }, (_, i) => i)
const words = Array.from({ length: count }, (_, i) => `word-${(i * 7919) % 1000}`)
const numbersRdd = sparkContext.parallelize(numbers, 4)
const wordsRdd = sparkContext.parallelize(words, 4)

const cases = {
  'map, filter, count': {
    millrace: (n) =>
      numbersRdd
        .map((x) => x * n + 1)
        .filter((x) => x % 3 === 0)
        .count(),
    hand(n) {
      let found = 0
      for (let i = 0; i < numbers.length; i++) if ((numbers[i] * n + 1) % 3 === 0) found++
      return found
    },
  },
  'map, filter, map, reduce': {
    millrace: (n) =>
      numbersRdd
        .map((x) => x + n)
        .filter((x) => x % 2 === 0)
        .map((x) => x >> 3)
        .reduce((a, b) => a + b),
    hand(n) {
      let sum = 0
      for (let i = 0; i < numbers.length; i++) {
        const x = numbers[i] + n
        if (x % 2 === 0) sum += x >> 3
      }
      return sum
    },
  },
  'map, filter, collect': {
    millrace: (n) =>
      numbersRdd
        .map((x) => x * n)
        .filter((x) => x % 4 === 0)
        .collect()
        .then((all) => all.length),
    hand(n) {
      const out = []
      for (let i = 0; i < numbers.length; i++) {
        const x = numbers[i] * n
        if (x % 4 === 0) out.push(x)
      }
      return out.length
    },
  },
  'flatMap, filter, count': {
    millrace: (n) =>
      numbersRdd
        .flatMap((x) => [x, x + n])
        .filter((x) => x % 5 === 0)
        .count(),
    hand(n) {
      let found = 0
      for (let i = 0; i < numbers.length; i++) for (const x of [numbers[i], numbers[i] + n]) if (x % 5 === 0) found++
      return found
    },
  },
  'map to pairs, reduceByKey': {
    millrace: (n) =>
      wordsRdd
        .map((word) => [word, n])
        .reduceByKey((a, b) => a + b)
        .collect()
        .then((pairs) => pairs.length),
    hand(n) {
      const counts = new Map()
      for (let i = 0; i < words.length; i++) {
        const word = words[i]
        const before = counts.get(word)
        counts.set(word, before === undefined ? n : before + n)
      }
      return counts.size
    },
  },
}

for (const [name, { millrace, hand }] of Object.entries(cases)) {
  const runs = []
  for (let round = 0; round <= rounds; round++) {
    const [handMs, expected] = await timed(() => hand(round + 1))
    const [millraceMs, found] = await timed(() => millrace(round + 1))
    if (found !== expected) throw new Error(`${name}: ${found}, expected ${expected}`)
    if (round > 0) runs.push({ handMs, millraceMs, ratio: handMs / millraceMs })
  }
  const each = runs.map(
    ({ handMs, millraceMs, ratio }) => `${ratio.toFixed(2)} (${handMs.toFixed(0)}:${millraceMs.toFixed(0)} ms)`,
  )
  const ratios = runs.map(({ ratio }) => ratio).sort((a, b) => a - b)
  const median = (ratios[rounds / 2 - 1] + ratios[rounds / 2]) / 2
  console.log(`${name.padEnd(25)} ${each.join('  ')}  median ${median.toFixed(2)} (wanted: at least 0.8)`)
}

async function timed(run) {
  // The garbage of the run before is not this one's, nor are the threads that sweep it for a while yet.
  globalThis.gc?.()
  await delay(200)
  const start = performance.now()
  const result = await run()
  return [performance.now() - start, result]
}
