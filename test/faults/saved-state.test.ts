/** State in layers: whatever changes, whenever the job is cut, a new run finds exactly what the last one had. */
import { copyFile, mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StateSpec, StreamingContext } from 'millrace'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { settle } from '../support/contexts.js'
import { type Describe, type Run, startOn } from '../support/durable-job.js'
import { randomNumbers } from '../support/random-numbers.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-state-'))
})
afterEach(async () => {
  await StreamingContext.getActive()?.stop()
  await rm(directory, { recursive: true, force: true })
})

const budget = Number(process.env.MILLRACE_BUDGET ?? 1)

/** Everything a function of state can do to a key, by the record that comes: count it, remove it; keys not seen for 6 batches time out. */
const describeJob: Describe = ({ ssc, hand, batches }) => {
  const pairs = ssc.receiverStream(hand).map((record) => record.split(' ') as [string, string])
  const mapped = pairs.mapWithState(
    StateSpec.function((key: string, action: string | null, state) => {
      if (action === null) return `${key} timed out`
      if (action === 'remove') {
        if (state.exists()) state.remove()
        return `${key} removed`
      }
      state.update(((state.getOption() as number | null) ?? 0) + 1)
      return `${key} ${state.get()}`
    }).timeout(6000),
  )
  mapped.named('mapped').checkpoint(1000)
  const counted = (name: string, start: () => unknown, add: (state: unknown) => unknown) => {
    const stream = pairs
      .updateStateByKey((actions: string[], state: unknown) => {
        let current = state
        for (const action of actions) current = action === 'remove' ? null : add(current ?? start())
        return current
      })
      .named(name)
    stream.checkpoint(1000)
    return stream
  }
  const numbers = counted(
    'numbers',
    () => 0,
    (n) => (n as number) + 1,
  )
  // The same object, changed in place.
  const objects = counted(
    'objects',
    () => ({ n: 0 }),
    (state) => {
      ;(state as { n: number }).n++
      return state
    },
  )
  const window = pairs
    .mapValues(() => 1)
    .reduceByKeyAndWindow(
      (a, b) => a + b,
      (a, b) => a - b,
      3000,
      1000,
      undefined,
      ([, n]) => n > 0,
    )
  window.named('window').checkpoint(1000)
  const outputs = { mapped, states: mapped.stateSnapshots(), numbers, objects, window }
  for (const [name, stream] of Object.entries(outputs)) {
    ;(stream as typeof numbers).foreachRDD(async (rdd, time) => {
      batches.push([time, [name, ...(await rdd.collect()).map((record) => JSON.stringify(record)).sort()]])
    })
  }
}

/** What each batch brings: first every key, then changes to a few of them. */
function input(batches: number, keys: number): string[][] {
  const random = randomNumbers(7)
  const all = [Array.from({ length: keys }, (_, key) => `k${key} add`)]
  while (all.length < batches) {
    const changes = Math.floor(random() * 12)
    all.push(
      Array.from({ length: changes }, () => {
        // Some keys are new ones.
        const key = Math.floor(random() * keys * 1.1)
        return `k${key} ${random() < 0.3 ? 'remove' : 'add'}`
      }),
    )
  }
  return all
}

const layersOf = async (operator: string): Promise<string[]> =>
  (await readdir(join(directory, 'state', operator)).catch(() => [])).sort(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10),
  )

describe('saved state', () => {
  it('is what it was, wherever the job is cut', { timeout: 240_000 }, async () => {
    const records = input(40, 300)
    const run = async (cuts: readonly number[], graceful: boolean): Promise<[number, string[]][]> => {
      const seen: [number, string[]][] = []
      let at = 0
      for (const cut of [...cuts, records.length]) {
        const part: Run = await startOn(directory, at * 1000 + 1, { describe: describeJob })
        for (; at < cut; at++) {
          if (records[at]!.length > 0) await part.hand.give(...records[at]!)
          await part.nextBatch()
        }
        await part.ssc.stop({ graceful })
        seen.push(...part.batches)
      }
      return seen
    }
    const expected = await run([], false)
    const random = randomNumbers(11)
    for (let round = 0; round < Math.ceil(3 * budget); round++) {
      const cuts = records.map((_, index) => index).filter((index) => index > 0 && random() < 0.25)
      await rm(directory, { recursive: true })
      expect(await run(cuts, round % 2 === 1), `cut at ${cuts}`).toEqual(expected)
    }
  })

  it('is the whole at first, then what changed, then one layer again when these have grown heavy', {
    timeout: 120_000,
  }, async () => {
    let snapshot = new Map<string, number>()
    const job: Describe = ({ ssc, hand }) => {
      const totals = ssc
        .receiverStream(hand)
        .map((key) => [key, 1])
        .mapWithState(
          StateSpec.function((_key: string, _one: number | null, state) => {
            const total = ((state.getOption() as number | null) ?? 0) + 1
            // A key that comes a third time goes, and is a new one when it comes again.
            if (total === 3) state.remove()
            else state.update(total)
            return 0
          }),
        )
      totals.named('totals').checkpoint(1000)
      totals.stateSnapshots().foreachRDD(async (rdd) => {
        snapshot = new Map((await rdd.collect()) as [string, number][])
      })
    }
    const keys = Array.from({ length: 20_000 }, (_, key) => `key-${key}`)
    const expected = new Map<string, number>()
    const giveAndRun = async (run: Awaited<ReturnType<typeof startOn>>, some: readonly string[]): Promise<void> => {
      for (const key of some) {
        const total = (expected.get(key) ?? 0) + 1
        if (total === 3) expected.delete(key)
        else expected.set(key, total)
      }
      await run.hand.give(...some)
      await run.nextBatch()
      expect([...snapshot]).toEqual([...expected])
    }
    const run = await startOn(directory, 0, { describe: job })
    await giveAndRun(run, keys)
    // A checkpoint is left out while the one before is still being written: not every batch makes a layer.
    for (let batch = 0; (await layersOf('totals')).length < 4; batch++)
      await giveAndRun(run, keys.slice(batch * 10, batch * 10 + 20))
    const now = run.clock.now()
    await run.ssc.stop()
    expect((await layersOf('totals')).join(' ')).toMatch(/^1000( \d+){3,}$/)
    const again = await startOn(directory, now, { describe: job })
    // A layer of many batches would be so heavy that the next one is the whole: each gives its own some time.
    for (let batch = 0; (await layersOf('totals')).includes('1000'); batch = (batch + 1000) % 20_000) {
      await giveAndRun(again, keys.slice(batch, batch + 1000))
      const layer = String(again.clock.now())
      for (let n = 0; n < 50 && !(await layersOf('totals')).includes(layer); n++) await settle()
    }
    const later = again.clock.now()
    await again.ssc.stop()
    expect((await layersOf('totals'))[0]).toMatch(/^\d+-merged$/)
    const third = await startOn(directory, later, { describe: job })
    await giveAndRun(third, keys.slice(0, 10))
    await third.ssc.stop()
  })

  it('is saved at a graceful stop, so that nothing is computed again', async () => {
    let calls = 0
    const job: Describe = ({ ssc, hand, batches }) => {
      const totals = ssc
        .receiverStream(hand)
        .map((key) => {
          calls++
          return [key, 1]
        })
        .updateStateByKey((ones, total: number | null) => (total ?? 0) + ones.length)
      totals.foreachRDD(async (rdd, time) => {
        batches.push([time, (await rdd.collect()).map(String)])
      })
    }
    const first = await startOn(directory, 0, { describe: job })
    await first.hand.give('a', 'a', 'a')
    await first.nextBatch()
    await first.ssc.stop({ graceful: true })
    expect(calls).toBe(3)
    const second = await startOn(directory, 1000, { describe: job })
    await second.hand.give('a')
    await second.nextBatch()
    expect(second.batches).toEqual([[2000, ['a,4']]])
    expect(calls).toBe(4)
  })

  it('leaves nothing behind of what a killed run had begun to save', async () => {
    const first = await startOn(directory, 0, { describe: describeJob })
    await first.hand.give('a add')
    await first.nextBatch()
    await first.ssc.stop({ graceful: true })
    const stray = await startOn(directory, 1000, { describe: describeJob })
    await stray.ssc.stop()
    await mkdir(join(directory, 'state', 'numbers', '999'))
    await writeFile(join(directory, 'state', 'numbers', '999', 'part-00000.tmp'), 'half')
    await mkdir(join(directory, 'state', 'other', '1000'), { recursive: true })
    const second = await startOn(directory, 1000, { describe: describeJob })
    expect(await layersOf('numbers')).toEqual(['1000'])
    expect(await layersOf('other')).toEqual([])
    await second.hand.give('a add')
    await second.nextBatch()
    expect(second.batches.find(([, [name]]) => name === 'numbers')).toEqual([2000, ['numbers', '["a",2]']])
  })

  const savedTwice = async (): Promise<void> => {
    const first = await startOn(directory, 0, { describe: describeJob })
    for (const action of ['add', 'remove']) {
      await first.hand.give(`a ${action}`, 'b add')
      await first.nextBatch()
    }
    await first.ssc.stop({ graceful: true })
  }
  const beginning = (): Promise<unknown> =>
    startOn(directory, 2000, { describe: describeJob }).catch((thrown: unknown) => thrown)

  it.each([
    ['cut short', (path: string) => truncate(path, 30)],
    ['another file', (path: string) => writeFile(path, 'something else altogether, but long enough')],
    ['not there', (path: string) => rm(path)],
    ['one of another operator', (path: string) => copyFile(path.replace('numbers', 'objects'), path)],
    ['one of another time', (path: string) => copyFile(path.replace('1000', '2000'), path)],
  ])('is refused at the start, by name, when a file of it is %s', async (_, damage) => {
    await savedTwice()
    const path = join(directory, 'state', 'numbers', '1000', 'part-00000')
    await damage(path)
    expect(await beginning()).toMatchObject({
      code: 'CHECKPOINT_INVALID',
      message: expect.stringContaining(join('state', 'numbers', '1000', 'part-00000')),
    })
  })

  it('is neither forgotten nor deleted when the log, or the end of it, is missing', async () => {
    await savedTwice()
    const log = join(directory, 'log')
    const [segment] = await readdir(log)
    await truncate(join(log, segment!), 500)
    expect(await beginning()).toMatchObject({ code: 'CHECKPOINT_INVALID', message: expect.stringContaining('log') })
    await rm(log, { recursive: true })
    expect(await beginning()).toMatchObject({ code: 'CHECKPOINT_INVALID', message: expect.stringContaining('log') })
    expect(await layersOf('numbers')).toEqual(['1000', '2000'])
  })
})
