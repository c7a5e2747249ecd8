/**
 * Chains of operations and a reduction by key over ten million records on master `local`, against hand-written loops over the
 * same arrays. Each twice: with functions that stay the same, as those of a stream's graph do from batch to batch, and with
 * functions made anew every time, as in a `foreachRDD`, where what V8 compiled for the ones before is of no use. The first run
 * of each, in which both sides meet their code for the first time, is not counted.
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

/** Each makes what is to be run, with its functions. */
const cases = {
  'map, filter, count': {
    millrace(n) {
      const rdd = numbersRdd.map((x) => x * n + 1).filter((x) => x % 3 === 0)
      return () => rdd.count()
    },
    hand: (n) => () => {
      let found = 0
      for (let i = 0; i < numbers.length; i++) if ((numbers[i] * n + 1) % 3 === 0) found++
      return found
    },
  },
  'map, filter, map, reduce': {
    millrace(n) {
      const rdd = numbersRdd
        .map((x) => x + n)
        .filter((x) => x % 2 === 0)
        .map((x) => x >> 3)
      const add = (a, b) => a + b
      return () => rdd.reduce(add)
    },
    hand: (n) => () => {
      let sum = 0
      for (let i = 0; i < numbers.length; i++) {
        const x = numbers[i] + n
        if (x % 2 === 0) sum += x >> 3
      }
      return sum
    },
  },
  'map, filter, collect': {
    millrace(n) {
      const rdd = numbersRdd.map((x) => x * n).filter((x) => x % 4 === 0)
      return async () => (await rdd.collect()).length
    },
    hand: (n) => () => {
      const out = []
      for (let i = 0; i < numbers.length; i++) {
        const x = numbers[i] * n
        if (x % 4 === 0) out.push(x)
      }
      return out.length
    },
  },
  'flatMap, filter, count': {
    millrace(n) {
      const rdd = numbersRdd.flatMap((x) => [x, x + n]).filter((x) => x % 5 === 0)
      return () => rdd.count()
    },
    hand: (n) => () => {
      let found = 0
      for (let i = 0; i < numbers.length; i++) for (const x of [numbers[i], numbers[i] + n]) if (x % 5 === 0) found++
      return found
    },
  },
  'map to pairs, reduceByKey': {
    millrace(n) {
      const pair = (word) => [word, n]
      const add = (a, b) => a + b
      // A shuffle keeps what its map side wrote, so every run has one of its own.
      return async () => (await wordsRdd.map(pair).reduceByKey(add).collect()).length
    },
    hand: (n) => () => {
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
  const [keptMillrace, keptHand] = [millrace(3), hand(3)]
  await report(name, 'functions kept', () => [keptMillrace, keptHand])
  await report(name, 'made anew', (round) => [millrace(round + 1), hand(round + 1)])
}

async function report(name, functions, make) {
  const ratios = []
  let each = ''
  for (let round = 0; round <= rounds; round++) {
    const [millrace, hand] = make(round)
    const [handMs, expected] = await timed(hand)
    const [millraceMs, found] = await timed(millrace)
    if (found !== expected) throw new Error(`${name}: ${found}, expected ${expected}`)
    if (round === 0) continue
    ratios.push(handMs / millraceMs)
    each += `  ${handMs.toFixed(0)}:${millraceMs.toFixed(0)}`
  }
  ratios.sort((a, b) => a - b)
  const median = (ratios[rounds / 2 - 1] + ratios[rounds / 2]) / 2
  console.log(
    `${name.padEnd(25)} ${functions.padEnd(14)} hand : millrace, ms${each}   median ${median.toFixed(2)}x (wanted: at least 0.8)`,
  )
}

async function timed(run) {
  // The garbage of the run before is not this one's, nor are the threads that sweep it for a while yet.
  globalThis.gc?.()
  await delay(200)
  const start = performance.now()
  const result = await run()
  return [performance.now() - start, result]
}
