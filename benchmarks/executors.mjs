// What executor threads cost and gain: the same job on `local` and on `local[2]`, in one run.
//
//   node benchmarks/executors.mjs [rounds=3]

import { run } from '../dist/index.js'
import { ManualClock } from '../dist/testing.js'

const rounds = Number(process.argv[2] ?? 3)
const module = new URL('support/executors-job.mjs', import.meta.url)
const { default: job } = await import(module)

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

async function timed(action) {
  const start = performance.now()
  await action()
  return performance.now() - start
}

/** Medians in milliseconds, by measurement. */
async function measure(master) {
  const clock = new ManualClock(0)
  const ssc = await run(job, { master, module }, { ambient: [], clock })
  const { rdds } = globalThis.millraceBenchmark
  const times = {}
  const note = async (name, count, action) => {
    const each = []
    for (let round = 0; round < rounds; round++) {
      const took = await timed(async () => {
        for (let i = 0; i < count; i++) await action()
      })
      each.push(took / count)
    }
    times[name] = median(each)
  }
  const batch = async () => {
    clock.advance(1)
    await ssc.batchesFinished()
  }
  for (let i = 0; i < 2000; i++) await batch()
  await note('batch', 1000, batch)
  for (let i = 0; i < 300; i++) await rdds.tasks.collect()
  await note('tasks', 100, () => rdds.tasks.collect())
  await rdds.cpu.collect()
  await note('cpu', 1, () => rdds.cpu.collect())
  const shuffles = []
  for (const shuffle of rdds.shuffles) {
    shuffles.push(
      await timed(async () => {
        const counts = await shuffle.collect()
        if (counts.reduce((a, b) => a + b) !== 10_000_000) throw new Error('The shuffle lost pairs.')
      }),
    )
  }
  times.shuffle = median(shuffles.slice(1))
  await ssc.stop()
  return times
}

const local = await measure('local')
const two = await measure('local[2]')
const line = (what, ratio, wanted) => console.log(`${what.padEnd(34)} ${ratio.padStart(12)}   wanted: ${wanted}`)
line('CPU-bound map, local[2] to local', `${(local.cpu / two.cpu).toFixed(2)}x`, 'at least 1.7x')
line('empty task, local[2]', `${((two.tasks / 16) * 1000).toFixed(1)} us`, 'at most 60 us')
line('empty task, local', `${((local.tasks / 16) * 1000).toFixed(1)} us`, '-')
line('empty batch, local', `${local.batch.toFixed(3)} ms`, 'at most 0.3 ms')
line('empty batch, local[2]', `${two.batch.toFixed(3)} ms`, 'at most 1 ms')
line('shuffle of 10 M pairs, local', `${(10_000 / local.shuffle).toFixed(2)} M/s`, '-')
line('shuffle of 10 M pairs, local[2]', `${(10_000 / two.shuffle).toFixed(2)} M/s`, 'at least 3 M/s')
line('shuffle, local[2] to local', `${(local.shuffle / two.shuffle).toFixed(2)}x`, 'more than 1x')
