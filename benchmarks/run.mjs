/**
 * Runs the benchmarks against `dist/`, one after another: `npm run bench` all of them, `npm run bench -- log` those whose name
 * begins so. A benchmark is a script `benchmarks/<name>.mjs` (what several share lies in `benchmarks/support/`) that runs alone
 * with plain Node, has its peer in the same run, and prints ratios. Nothing else should run on the machine meanwhile.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const wanted = process.argv.slice(2)
const names = readdirSync(here)
  .filter((file) => file.endsWith('.mjs') && file !== 'run.mjs')
  .map((file) => file.slice(0, -'.mjs'.length))
  .filter((name) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix)))
  .sort()

if (names.length === 0) {
  console.error(`No benchmark is called ${wanted.join(' or ')}.`)
  process.exit(1)
}
const memory = Math.round(totalmem() / 1024 ** 3)
console.log(
  `Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model}, ${memory} GiB, load ${loadavg()[0].toFixed(2)}`,
)
for (const name of names) {
  console.log(`\n## ${name}\n`)
  const { status } = spawnSync(process.execPath, ['--expose-gc', `${here}${name}.mjs`], { stdio: 'inherit' })
  if (status !== 0) {
    console.error(`${name} ended with status ${status}.`)
    process.exitCode = 1
  }
}
