/**
 * How fast the write ahead log appends, against the bare system calls in the same run.
 *
 *   npm run build && node benchmarks/log-append.mjs [megabytes]
 */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDirectory } from '../dist/storage/directory-handle.js'
import { readLog } from '../dist/storage/log-reader.js'
import { WriteAheadLog } from '../dist/storage/write-ahead-log.js'

const megabytes = Number(process.argv[2] ?? 1024)
const root = await mkdtemp(join(process.env.BENCH_DIR ?? tmpdir(), 'millrace-bench-'))
const block = Buffer.alloc(64 << 10, 'x')

async function timed(run) {
  const begin = performance.now()
  const bytes = await run()
  return bytes / 1e6 / ((performance.now() - begin) / 1000)
}

/** `inFlight` blocks are always waiting, as with a receiver whose blocks come faster than the disk takes them. */
async function appendAll(log, total, inFlight) {
  const count = Math.ceil(total / block.length)
  const latencies = []
  let next = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next++ < count) {
        const begin = performance.now()
        await log.append(1, [block])
        latencies.push(performance.now() - begin)
      }
    }),
  )
  latencies.sort((a, b) => a - b)
  return { bytes: count * block.length, p99: latencies[Math.floor(latencies.length * 0.99)] }
}

async function bare(name, total, sync, chunks) {
  const file = await open(join(root, name), 'w')
  const group = Array(chunks).fill(block)
  const rate = await timed(async () => {
    let bytes = 0
    while (bytes < total) {
      bytes += (await file.writev(group)).bytesWritten
      if (sync) await file.datasync()
    }
    return bytes
  })
  await file.close()
  await rm(join(root, name))
  return rate
}

const total = megabytes << 20
const rows = []
for (const [name, sync, inFlight, share] of [
  ['never', 'never', 32, 1],
  ['interval 100 ms', { intervalMs: 100 }, 32, 1],
  ['always, 32 blocks waiting', 'always', 32, 1],
  ['always, 4 blocks waiting', 'always', 4, 0.25],
  ['always, 1 block waiting', 'always', 1, 0.125],
]) {
  const peer = await bare('peer', total * share, sync === 'always', Math.min(inFlight, 16))
  const path = join(root, 'log')
  const directory = await openDirectory(path)
  const log = await WriteAheadLog.open(directory, () => {}, { sync })
  let p99 = 0
  const rate = await timed(async () => {
    const done = await appendAll(log, total * share, inFlight)
    p99 = done.p99
    return done.bytes
  })
  const { syncs, groups } = log.metrics
  await log.close()
  const readRate = await timed(async () => {
    let bytes = 0
    await readLog(directory, ({ payload }) => (bytes += payload.length))
    return bytes
  })
  await rm(path, { recursive: true })
  rows.push({
    sync: name,
    'MB/s': Math.round(rate),
    'bare writev MB/s': Math.round(peer),
    ratio: (rate / peer).toFixed(2),
    'p99 ms': p99.toFixed(2),
    groups,
    syncs,
    'read back MB/s': Math.round(readRate),
  })
}
console.table(rows)
await rm(root, { recursive: true })
