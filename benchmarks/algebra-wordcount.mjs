/**
 * Word count on `local` and on `local[2]`, against pysparkling, Spark's RDDs in pure Python: the same program over the same
 * lines, from a file and from memory. pysparkling is installed into `.cache/pysparkling` the first time; where there is no Python 3, a line
 * says so and nothing is measured. The first run of each warms up and is not counted; a ratio is the median of the rounds', in each of
 * which both count, and a loop by hand with a Map too.
 *
 *   npm run build && node benchmarks/algebra-wordcount.mjs [rounds=5] [thousands of lines=400]
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { run } from '../dist/index.js'
import { wordLines } from './support/word-lines.mjs'

const version = 'pysparkling==0.6.2'
const rounds = Number(process.argv[2] ?? 5)
const count = Number(process.argv[3] ?? 400) * 1000

const python = pythonWithPysparkling()
if (python === null) console.log('Skipped: there is no python3 with venv and pip here.')
else {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const path = join(directory, 'words.txt')
    writeFileSync(path, `${wordLines(count).join('\n')}\n`)
    process.env.BENCHMARK_WORDS = JSON.stringify({ path, rounds, count })
    for (const master of ['local', 'local[2]']) {
      const all = await runsOf(master, path)
      for (const from of ['file', 'memory'])
        report(
          `${from}, ${master}`,
          all.filter((run) => run.from === from),
        )
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Every round from each source: ours and theirs, one right after the other, with milliseconds, words found, and their sum. */
async function runsOf(master, path) {
  const module = new URL('support/wordcount-job.mjs', import.meta.url)
  const { default: job } = await import(module)
  const program = fileURLToPath(new URL('support/wordcount.py', import.meta.url))
  const peer = spawn(python, [program, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()
  globalThis.peerRun = async (from) => {
    peer.stdin.write(`${from}\n`)
    return JSON.parse((await answers.next()).value)
  }
  const all = []
  globalThis.tookRound = (round) => all.push(round)
  await run(job, { master, module }, { ambient: [] })
  peer.stdin.end()
  await once(peer, 'exit')
  return all
}

function report(from, all) {
  for (const { ours, theirs } of all) {
    if (ours.words !== theirs.words || ours.sum !== theirs.sum) throw new Error('The results differ.')
  }
  const median = (number) =>
    all
      .filter(({ round }) => round > 0)
      .map(number)
      .sort((a, b) => a - b)[Math.floor(rounds / 2)]
  const ms = (number) => `${median(number).toFixed(0)} ms`
  const ratio = median(({ ours, theirs }) => theirs.ms / ours.ms).toFixed(1)
  console.log(
    `word count from ${from.padEnd(16)} millrace ${ms(({ ours }) => ours.ms)}   pysparkling ${ms(({ theirs }) => theirs.ms)}   a loop by hand, from memory ${ms(({ byHandMs }) => byHandMs)}   ratio ${ratio}x (wanted: at least 5x)`,
  )
}

/** A Python that has pysparkling, or null. */
function pythonWithPysparkling() {
  const home = fileURLToPath(new URL('../.cache/pysparkling', import.meta.url))
  const python = `${home}/bin/python`
  if (existsSync(`${home}/${version}`)) return python
  try {
    execFileSync('python3', ['-m', 'venv', home], { stdio: 'ignore' })
  } catch {
    return null
  }
  execFileSync(python, ['-m', 'pip', 'install', '-q', '--no-cache-dir', version], { stdio: 'inherit' })
  writeFileSync(`${home}/${version}`, '')
  return python
}
