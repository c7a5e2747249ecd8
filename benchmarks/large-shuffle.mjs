// A groupByKey over more data than there is heap: four gigabytes in a heap of one, on `local` and on `local[2]`, where the
// threads share it. What it does not hold goes to files, twice: once as the map side writes it, once spread for the reduce side.
//
//   node benchmarks/large-shuffle.mjs [gigabytes=4] [heap in MB=1024] [masters=local,local[2]]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)

if (process.env.BENCHMARK_SHUFFLE !== undefined) {
  const { run } = await import('../dist/index.js')
  const [, , master, heapMb] = process.argv
  const module = new URL('support/large-shuffle-job.mjs', import.meta.url)
  const { default: job } = await import(module)
  const conf = master === 'local' ? [] : [{ 'millrace.executor.memory': `${Math.floor(heapMb * 0.4)}m` }]
  const start = performance.now()
  await run(job, { master, module, conf }, { ambient: [] })
  const seconds = (performance.now() - start) / 1000
  process.send({ seconds, bytes: globalThis.millraceBytes, rssMb: process.resourceUsage().maxRSS / 1024 })
  process.disconnect()
} else {
  const [gigabytes = '4', heapMb = '1024', masters = 'local,local[2]'] = process.argv.slice(2)
  for (const master of masters.split(/,(?![0-9])/)) {
    // Of a heap in threads each has two fifths, and the driver the last fifth.
    const ofDriver = master === 'local' ? heapMb : Math.floor(heapMb * 0.2)
    const child = fork(self, [master, heapMb], {
      execArgv: [`--max-old-space-size=${ofDriver}`],
      env: { ...process.env, BENCHMARK_SHUFFLE: `${gigabytes} 32 8` },
    })
    const result = await Promise.race([once(child, 'message'), once(child, 'exit')])
    if (typeof result[0] !== 'object') {
      console.log(`${master.padEnd(9)} ended with ${result[0] ?? result[1]}`)
      process.exitCode = 1
      continue
    }
    const [{ seconds, bytes, rssMb }] = result
    console.log(
      `${master.padEnd(9)} groupByKey of ${(bytes / 1e9).toFixed(1)} GB in ${heapMb} MB of heap: ${seconds.toFixed(1)} s, ` +
        `${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${rssMb.toFixed(0)} MB resident at most`,
    )
  }
}
