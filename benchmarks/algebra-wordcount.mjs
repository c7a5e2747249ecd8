/**
 * Word count on master `local`, against pysparkling, Spark's RDDs in pure Python: the same program over the same lines, from a
 * file and from memory. pysparkling is installed into `.cache/pysparkling` the first time; where there is no Python 3, a line
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
import { StreamingContext } from '../dist/index.js'

const version = 'pysparkling==0.6.2'
const rounds = Number(process.argv[2] ?? 5)
const lines = Array.from({ length: Number(process.argv[3] ?? 400) * 1000 }, (_, i) =>
  Array.from({ length: 10 }, (_, j) => `word${(i * 7919 + j * 104_729) % 10_007}`).join(' '),
)

const python = pythonWithPysparkling()
if (python === null) console.log('Skipped: there is no python3 with venv and pip here.')
else {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const path = join(directory, 'words.txt')
    writeFileSync(path, `${lines.join('\n')}\n`)
    const ours = await ourRuns(path)
    const theirs = await theirRuns(path)
    for (const from of ['file', 'memory']) report(from, ours[from], theirs[from])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The runs from each source: milliseconds, words found, and their sum. */
async function ourRuns(path) {
  const { sparkContext } = new StreamingContext({ appName: 'bench', batchInterval: '1s' })
  const sources = { file: () => sparkContext.textFile(path, 4), memory: () => sparkContext.parallelize(lines, 4) }
  const runs = { file: [], memory: [] }
  for (const [from, source] of Object.entries(sources)) {
    for (let round = 0; round <= rounds; round++) {
      const start = performance.now()
      const pairs = await source()
        .flatMap((line) => line.split(' '))
        .map((word) => [word, 1])
        .reduceByKey((a, b) => a + b)
        .collect()
      const ms = performance.now() - start
      runs[from].push({ ms, words: pairs.length, sum: pairs.reduce((sum, [, n]) => sum + n, 0) })
    }
  }
  return runs
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
    `word count from ${from.padEnd(8)} millrace ${oursMs.toFixed(0)} ms   pysparkling ${theirsMs.toFixed(0)} ms   ratio ${(theirsMs / oursMs).toFixed(1)}x (wanted: at least 5x)`,
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
