/**
 * Word count on `local` and on `local[2]`, against pysparkling, Spark's RDDs in pure Python: the same program over the same
 * lines, from a file and from memory. pysparkling is installed into `.cache/pysparkling` the first time; where there is no Python 3, a line
 * says so and nothing is measured. The first run of each warms up and is not counted.
 *
 *   npm run build && node benchmarks/algebra-wordcount.mjs [rounds=5] [thousands of lines=400]
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
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
    const theirs = await theirRuns(path)
    process.env.BENCHMARK_WORDS = JSON.stringify({ path, rounds, count })
    for (const master of ['local', 'local[2]']) {
      const ours = await ourRuns(master)
      for (const from of ['file', 'memory']) report(`${from}, ${master}`, ours[from], theirs[from])
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The runs from each source: milliseconds, words found, and their sum. */
async function ourRuns(master) {
  const module = new URL('support/wordcount-job.mjs', import.meta.url)
  const { default: job } = await import(module)
  await run(job, { master, module }, { ambient: [] })
  return globalThis.millraceRuns
}

async function theirRuns(path) {
  const program = fileURLToPath(new URL('support/wordcount.py', import.meta.url))
  const { stdout } = await promisify(execFile)(python, [program, path, String(rounds + 1)], { maxBuffer: 1 << 26 })
  return JSON.parse(stdout)
}

function report(from, ours, theirs) {
  for (const run of [...ours, ...theirs]) {
    if (run.words !== ours[0].words || run.sum !== ours[0].sum) throw new Error('The results differ.')
  }
  const median = (runs) =>
    runs
      .slice(1)
      .map(({ ms }) => ms)
      .sort((a, b) => a - b)[Math.floor(rounds / 2)]
  const [oursMs, theirsMs] = [median(ours), median(theirs)]
  console.log(
    `word count from ${from.padEnd(16)} millrace ${oursMs.toFixed(0)} ms   pysparkling ${theirsMs.toFixed(0)} ms   ratio ${(theirsMs / oursMs).toFixed(1)}x (wanted: at least 5x)`,
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
