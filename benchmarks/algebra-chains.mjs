/**
 * Chains of operations and a reduction by key over ten million records on master `local`, against hand-written loops over the
 * same arrays. Every round makes its functions anew, as every batch of a `foreachRDD` does: a round that is slower than the
 * first shows what that costs.
 *
 *   npm run build && npm run bench -- algebra-chains
 */
import { StreamingContext } from '../dist/index.js'

const count = Number(process.env.RECORDS ?? 10_000_000)
const rounds = 4
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
  const ratios = []
  for (let round = 1; round <= rounds; round++) {
    globalThis.gc?.()
    const [handMs, expected] = await timed(() => hand(round))
    globalThis.gc?.()
    const [millraceMs, found] = await timed(() => millrace(round))
    if (found !== expected) throw new Error(`${name}: ${found}, expected ${expected}`)
    ratios.push(`${(handMs / millraceMs).toFixed(2)} (${handMs.toFixed(0)} : ${millraceMs.toFixed(0)} ms)`)
  }
  console.log(`${name.padEnd(28)} ${ratios.join('   ')}`)
}

async function timed(run) {
  const start = performance.now()
  const result = await run()
  return [performance.now() - start, result]
}
