/**
 * What a batch costs where the past counts: `mapWithState` with ten thousand updates a batch over a million keys, against the
 * same over ten thousand keys; an inverse window of 600 batches, against one of 6. Both of a pair run in this process, one
 * after the other, on batches of the same size under a manual clock; the median is over the batches after the first ones.
 *
 *   npm run build && node --expose-gc benchmarks/algebra-state.mjs [master=local] [thousands of keys=1000]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StateSpec } from '../dist/index.js'
import { runBatches } from '../dist/testing.js'

const master = process.argv[2] ?? 'local'
const keysMany = Number(process.argv[3] ?? 1000) * 1000
const keysFew = 10_000
const updates = 10_000
const measured = 60

await compareStates('mapWithState', null)
await compareStates('mapWithState with a timeout', (spec) => spec.timeout('1h'))
await compareStates('mapWithState with a checkpoint directory', null, true)
await compareWindows()

/** The first batch gives every key its state, the following ones update some. */
async function compareStates(name, configure, saved = false) {
  const medians = {}
  for (const keys of [keysFew, keysMany]) {
    const all = Array.from({ length: keys }, (_, i) => [keyOf(i), i])
    const batches = Array.from({ length: measured + 5 }, (_, b) =>
      // A prime step spreads the updates over all keys, other ones in every batch.
      Array.from({ length: updates }, (_, i) => [keyOf((b * 104_729 + i * 7919) % keys), i]),
    )
    medians[keys] = await medianOf([all, ...batches], saved, (readings) => {
      const spec = StateSpec.function((_key, value, state) => {
        const sum = (state.getOption() ?? 0) + value
        state.update(sum)
        return sum
      })
      return readings.mapWithState(configure === null ? spec : configure(spec))
    })
  }
  report(name, `${keysMany / 1000}k keys`, medians[keysMany], `${keysFew / 1000}k keys`, medians[keysFew], 3)
}

/** Every batch has the same keys, so that both windows hold as many. */
async function compareWindows() {
  const medians = {}
  for (const length of [6, 600]) {
    const records = Array.from({ length: 5000 }, (_, i) => [`key-${i % 500}`, i])
    const batches = Array.from({ length: 600 + measured }, () => records)
    medians[length] = await medianOf(batches, false, (pairs) =>
      pairs.reduceByKeyAndWindow(
        (a, b) => a + b,
        (a, b) => a - b,
        `${length}s`,
      ),
    )
  }
  report('inverse window', '600 batches', medians[600], '6 batches', medians[6], 1.25)
}

/** Keys of one length, as those of sensors are. */
function keyOf(n) {
  return `s-${String(n).padStart(7, '0')}`
}

/** Milliseconds of a batch, from one to the next, the median of the last ones. */
async function medianOf(batches, saved, operation) {
  const directory = saved ? mkdtempSync(join(tmpdir(), 'millrace-bench-')) : null
  const completed = []
  globalThis.gc?.()
  try {
    await runBatches({
      inputs: [batches],
      master,
      build: ([stream], ssc) => {
        if (directory !== null) ssc.checkpoint(directory)
        ssc.addStreamingListener({ onBatchCompleted: () => completed.push(performance.now()) })
        return operation(stream).count()
      },
    })
  } finally {
    if (directory !== null) rmSync(directory, { recursive: true, force: true })
  }
  const spans = completed.slice(1).map((at, i) => at - completed[i])
  const last = spans.slice(-measured).sort((a, b) => a - b)
  return last[Math.floor(last.length / 2)]
}

function report(what, large, largeMs, small, smallMs, wanted) {
  console.log(
    `${what.padEnd(40)} ${large} ${largeMs.toFixed(2)} ms a batch, ${small} ${smallMs.toFixed(2)} ms   ratio ${(largeMs / smallMs).toFixed(2)} (wanted: at most ${wanted})`,
  )
}
