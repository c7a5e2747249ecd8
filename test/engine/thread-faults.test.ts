/** What a lost executor thread costs: time, and nothing else. Faults are records; a fault happens once, the first time it is met. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DStream, MillraceError, type State, StateSpec } from 'millrace'
import { runBatches } from 'millrace/testing'
import { afterAll, describe, expect, test } from 'vitest'

type Reading = { readonly key: string; readonly value: number; readonly fault?: string }

const markers = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
afterAll(() => rmSync(markers, { recursive: true, force: true }))

/** Ends the thread in the way `kind` says, unless this fault has happened before. */
function meet(fault: string | undefined): void {
  if (fault === undefined) return
  const marker = `${markers}/${fault.replaceAll(':', '-')}`
  if (existsSync(marker)) return
  writeFileSync(marker, '')
  const kind = fault.split(':')[0]
  if (kind === 'exit') process.exit(3)
  if (kind === 'throw') throw new Error('A fault in a task')
  if (kind === 'uncaught') {
    setTimeout(() => {
      throw new Error('Nobody catches this')
    })
    for (const end = Date.now() + 200; Date.now() < end; );
    return
  }
  if (kind === 'memory') for (const hog: unknown[] = []; ; ) hog.push(new Array(1e6).fill(fault))
  if (kind === 'loop') for (;;);
}

let runs = 0

/** The batches of a small count per key, with `fault` met where `build` meets faults. */
function batches(fault: string | null): Reading[][] {
  const run = runs++
  return Array.from({ length: 4 }, (_, batch) =>
    Array.from({ length: 40 }, (_, n): Reading => {
      const reading = { key: `k${n % 7}`, value: batch * 100 + n }
      return fault !== null && batch === 1 && n === 17 ? { ...reading, fault: `${fault}:${run}` } : reading
    }),
  )
}

type Build = (readings: DStream<Reading>) => DStream<unknown>

const phases: Record<string, Build> = {
  'the map side of a shuffle': (readings) =>
    readings
      .map((reading): [string, number] => {
        meet(reading.fault)
        return [reading.key, reading.value]
      })
      .reduceByKey((a, b) => a + b),
  'the reduce side of a shuffle': (readings) =>
    readings
      .map((reading): [string, Reading] => [reading.key, reading])
      .groupByKey()
      .mapValues((group) => {
        for (const reading of group) meet(reading.fault)
        return group.reduce((sum, reading) => sum + reading.value, 0)
      }),
  'a window over kept batches': (readings) =>
    readings
      .map((reading) => {
        meet(reading.fault)
        return reading.value
      })
      .window(2000)
      .reduce((a, b) => a + b),
  'the update of state': (readings) =>
    readings
      .map((reading): [string, Reading] => [reading.key, reading])
      .updateStateByKey((values, total: number | null) => {
        for (const reading of values) meet(reading.fault)
        return values.reduce((sum, reading) => sum + reading.value, total ?? 0)
      }),
  'a partition function that waits': (readings) =>
    readings.mapPartitions(async (records) => {
      let sum = 0
      for (const reading of records) {
        meet(reading.fault)
        sum += reading.value
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
      return [sum]
    }),
}

Object.assign(phases, {
  'the choice of a partition': (readings) =>
    readings
      .map((reading): [Reading, number] => [reading, 1])
      .partitionBy({
        numPartitions: 3,
        getPartition: (key) => {
          meet((key as Reading).fault)
          return (key as Reading).value % 3
        },
      })
      .map(([reading]) => reading.value),
  'the combining before a shuffle': (readings) =>
    readings
      .map((reading): [string, Reading] => [reading.key, reading])
      .reduceByKey((a, b) => {
        // Values of one partition and one key meet here.
        meet(a.fault ?? b.fault)
        return { key: a.key, value: a.value + b.value }
      })
      .mapValues(({ value }) => value),
  'the combining after a shuffle': (readings) =>
    readings
      .map((reading): [string, Reading] => [reading.key, reading])
      .combineByKey(
        (reading: Reading) => ({ sum: reading.value, fault: reading.fault ?? null }),
        (all, reading) => ({ sum: all.sum + reading.value, fault: reading.fault ?? all.fault }),
        (a, b) => {
          meet(a.fault ?? b.fault ?? undefined)
          return { sum: a.sum + b.sum, fault: null }
        },
      )
      .mapValues(({ sum }) => sum),
  'the end of a partition': (readings) =>
    readings.mapPartitions(function* (records) {
      const all = [...records]
      for (const reading of all) yield reading.value
      for (const reading of all) meet(reading.fault)
    }),
  'a checkpoint': (readings) => {
    const checked = readings.map((reading) => {
      meet(reading.fault)
      return reading.value
    })
    checked.checkpoint(1000)
    return checked.window(2000).reduce((a, b) => a + b)
  },
} satisfies Record<string, Build>)

function sorted(outputs: readonly (unknown[] | null)[]): unknown {
  return outputs.map((batch) => batch?.map((record) => JSON.stringify(record)).sort())
}

describe.each(Object.entries(phases))('in %s', (_, build) => {
  const build1 = ([readings]: readonly [DStream<Reading>]): DStream<unknown> => build(readings)
  test.each(['exit', 'throw', 'uncaught'])('a fault of kind %s changes no result', async (kind) => {
    const calm = await runBatches({ inputs: [batches(null)], build: build1 })
    const outputs = await runBatches({
      inputs: [batches(kind)],
      build: build1,
      master: 'local[2]',
    })
    expect(existsSync(`${markers}/${kind}-${runs - 1}`)).toBe(true)
    expect(sorted(outputs)).toEqual(sorted(calm))
  })
})

/** More with a budget: each is one more run of everything below, with kills at other moments. */
const rounds = Math.ceil(2 * Number(process.env.MILLRACE_BUDGET ?? 1))

test.each(Array.from({ length: rounds }, (_, round) => round))(
  'threads that end at arbitrary moments, round %i',
  async (round) => {
    const inputs = [[batches(null), batches(null), batches(null)].flat()] as const
    let lost = 0
    const pipeline = (readings: DStream<Reading>): DStream<unknown> => {
      const totals = readings
        .map((reading): [string, number] => [reading.key, reading.value])
        .reduceByKey((a, b) => a + b)
      const total = (key: string, value: number | null, state: State<number>): [string, number] => {
        state.update((state.getOption() ?? 0) + (value ?? 0))
        return [key, state.get()]
      }
      const states = totals.mapWithState(StateSpec.function(total))
      return totals.reduceByKeyAndWindow((a, b) => a + b, 3000).join(states)
    }
    const calm = await runBatches({ inputs, build: ([readings]) => pipeline(readings) })
    const outputs = await runBatches({
      inputs,
      build: ([readings], ssc) => {
        ssc.addStreamingListener({ onExecutorRemoved: () => void lost++ })
        // Some records leave something behind that ends the thread a moment later, whatever runs there by then.
        let calls = round + 1
        return pipeline(
          readings.map((reading) => {
            calls = (calls * 1103515245 + 12345) % 2147483648
            if (calls % 31 === 0) setTimeout(() => process.exit(1), calls % 7)
            return reading
          }),
        )
      },
      master: 'local[2,1000]',
    })
    expect(sorted(outputs)).toEqual(sorted(calm))
    expect(lost).toBeGreaterThan(0)
  },
)

test('a task beyond spark.task.timeout loses its thread and runs again in another', async () => {
  const build = ([readings]: readonly [DStream<Reading>]): DStream<unknown> =>
    phases['the map side of a shuffle']!(readings)
  const calm = await runBatches({ inputs: [batches(null)], build })
  const conf = { 'spark.task.timeout': '2s' }
  const outputs = await runBatches({ inputs: [batches('loop')], build, master: 'local[2]', conf })
  expect(existsSync(`${markers}/loop-${runs - 1}`)).toBe(true)
  expect(sorted(outputs)).toEqual(sorted(calm))
})

test('a thread that runs out of memory is replaced', async () => {
  const outputs = await runBatches({
    inputs: [batches('memory')],
    build: ([readings]: readonly [DStream<Reading>]) => phases['the map side of a shuffle']!(readings),
    master: 'local[2]',
    conf: { 'millrace.executor.memory': '96m' },
  })
  expect(outputs).toHaveLength(4)
  expect(existsSync(`${markers}/memory-${runs - 1}`)).toBe(true)
})

test('a task that fails every time fails its batch after spark.task.maxFailures attempts, naming operator and record', async () => {
  const outcome = runBatches({
    inputs: [[[1, 2, 3]]],
    build: ([numbers]) =>
      numbers.map((n) => {
        if (n === 2) throw new RangeError('two is too many')
        return n
      }),
    master: 'local[2,2]',
  })
  await expect(outcome).rejects.toSatisfy(
    (error) =>
      MillraceError.is(error, 'BATCH_FAILED') &&
      /Operator 1-map failed on record 2: two is too many/.test(error.message),
  )
})

test('a record of a class that cannot travel between threads is a named error', async () => {
  const outcome = runBatches({
    inputs: [[[1, 2, 3]]],
    build: ([numbers]) => {
      class Celsius {
        readonly degrees: number
        constructor(degrees: number) {
          this.degrees = degrees
        }
      }
      return numbers.map((n) => [1, new Celsius(n)]).groupByKey()
    },
    master: 'local[2]',
  })
  await expect(outcome).rejects.toThrow(/an instance of Celsius/)
})
