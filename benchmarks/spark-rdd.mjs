// Word count and the mean of JSON readings by RDDs on Spark's local[2]: functions in TypeScript by Millrace, against the same
// programs with functions in Python by PySpark's RDD API, on the same version of Spark. Lines come from a file, or out of an RDD
// that is persisted in memory. The first run of each program warms up and is not counted.
//
//   node benchmarks/spark-rdd.mjs [rounds=3] [thousands of lines=800]
import { execFile } from 'node:child_process'
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { pythonWithPySpark, sparkHome } from './support/spark-homes.mjs'

const self = fileURLToPath(import.meta.url)
const support = (name) => fileURLToPath(new URL(`support/${name}`, import.meta.url))

if (process.argv[2] === 'millrace') {
  const { run } = await import('../dist/index.js')
  const module = pathToFileURL(support('spark-rdd-job.mjs'))
  const { default: job } = await import(module.href)
  const conf = { 'millrace.engine': 'spark', 'spark.driver.memory': '1g', 'spark.ui.enabled': false }
  await run(job, { master: 'local[2]', module, conf: [conf] })
} else {
  await main()
}

async function main() {
  const rounds = Number(process.argv[2] ?? 3)
  const lines = Number(process.argv[3] ?? 800) * 1000
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const env = {
    ...process.env,
    WORDS: join(directory, 'words.txt'),
    READINGS: join(directory, 'readings.txt'),
    PARTITIONS: '4',
    ROUNDS: String(rounds),
    SPARK_LOCAL_IP: '127.0.0.1',
  }
  try {
    await write(env.WORDS, lines, (i) =>
      Array.from({ length: 10 }, (_, j) => `word${(i * 7919 + j * 104_729) % 10_007}`).join(' '),
    )
    await write(env.READINGS, lines, (i) =>
      JSON.stringify({ id: `sensor-${i % 1000}`, t: 1_700_000_000_000 + i, v: (i % 977) / 8, unit: 'C' }),
    )
    const python = pythonWithPySpark()
    const ours = await results(process.execPath, [self, 'millrace'], { ...env, SPARK_HOME: await sparkHome() })
    const theirs = await results(python, [support('spark-rdd.py')], {
      ...env,
      // Its own, of the same version.
      SPARK_HOME: undefined,
      PYSPARK_PYTHON: python,
    })
    for (const [name, what] of Object.entries({ words: 'word count', means: 'JSON mean' })) {
      for (const from of ['file', 'memory']) report(what, from, pick(ours, name, from), pick(theirs, name, from), lines)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function write(path, count, line) {
  const out = createWriteStream(path)
  for (let i = 0; i < count; i += 1000) {
    const text = `${Array.from({ length: 1000 }, (_, j) => line(i + j)).join('\n')}\n`
    if (!out.write(text)) await new Promise((resolve) => out.once('drain', resolve))
  }
  out.end()
  await finished(out)
}

/** The lines of JSON a program prints. */
function results(program, args, env) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stderr.slice(-3000)}`))
      else
        resolve(
          stdout
            .split('\n')
            .filter((line) => line.startsWith('{'))
            .map((line) => JSON.parse(line)),
        )
    })
  })
}

/** The runs of one program, the first one left out. */
function pick(runs, name, from) {
  return runs.filter((run) => run.name === name && run.from === from).slice(1)
}

function report(what, from, ours, theirs, lines) {
  for (const run of [...ours, ...theirs]) {
    if (run.pairs !== ours[0].pairs || Math.abs(run.sum - ours[0].sum) > 1e-6 * Math.abs(run.sum))
      throw new Error(`${what}: the results differ.`)
  }
  const median = (runs) => runs.map(({ ms }) => ms).sort((a, b) => a - b)[Math.floor(runs.length / 2)]
  const text = (runs) =>
    `${Math.round(lines / median(runs))}k lines/s (${runs.map(({ ms }) => Math.round(ms)).join(' ')} ms)`
  const ratio = median(theirs) / median(ours)
  console.log(
    `${`${what} from ${from === 'file' ? 'a file' : 'memory'}`.padEnd(24)} millrace ${text(ours)}   pyspark ${text(theirs)}   ratio ${ratio.toFixed(2)}x (wanted: at least 2x)`,
  )
}
