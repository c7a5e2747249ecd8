/** `millrace replay`, started as a person would: a batch of an earlier run comes out as it came out then. */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { cli, files, startCli, startNode } from './cli.js'

const receiver = `
class Ticks extends Receiver {
  constructor() { super(StorageLevel.MEMORY_ONLY) }
  onStart() {
    let n = 0
    this.timer = setInterval(() => { for (let i = 0; i < 9; i++) this.store(\`k\${n++ % 11} \${n}\`) }, 10)
  }
  onStop() { clearInterval(this.timer) }
}
`
/** Every kind of state, saved every third batch and removed at times, so that layers lie on layers. */
const graph = `
  const pairs = ssc.receiverStream(new Ticks()).map((line) => line.split(' '))
  const totals = pairs.updateStateByKey((values, total) => (values.includes('200') ? null : (total ?? 0) + values.length))
  totals.checkpoint('300ms')
  totals.print()
  const numbered = pairs.mapWithState(StateSpec.function((key, n, state) => {
    if (n % 50 === 0 && state.exists()) { state.remove(); return key + ' gone' }
    state.update((state.getOption() ?? 0) + 1)
    return key + ' ' + n + ' ' + state.get()
  }))
  numbered.checkpoint('300ms')
  numbered.print(20)
  numbered.stateSnapshots().print(20)
  const windowed = pairs.mapValues(() => 1).reduceByKeyAndWindow((a, b) => a + b, (a, b) => a - b, '400ms', '200ms')
  windowed.checkpoint('400ms')
  windowed.print()
  pairs.window('300ms').count().print()
`
const job = `import { defineJob, Receiver, StateSpec, StorageLevel } from 'millrace'
import { appendFileSync } from 'node:fs'
${receiver}
export default defineJob({ name: 'replayed', batchInterval: '100ms', conf: { 'spark.streaming.blockInterval': '20ms' } }, (ssc) => {
${graph}
  pairs.foreachRDD(async (rdd, time) => appendFileSync('written', \`\${time} \${await rdd.count()}\\n\`))
})
`

/** What was printed for each batch time, in order. */
function printed(stdout: string): Map<number, string[]> {
  const rule = '-'.repeat(43)
  const batches = new Map<number, string[]>()
  for (const part of stdout.split(`${rule}\nTime: `).slice(1)) {
    const time = Number.parseInt(part, 10)
    batches.set(time, [...(batches.get(time) ?? []), part])
  }
  return batches
}

/** Every file of a directory with its size and time of change. */
function listing(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const { size, mtimeMs } = statSync(join(parentPath, name))
      return `${join(parentPath, name)} ${size} ${mtimeMs}`
    })
    .sort()
}

describe('millrace replay', () => {
  for (const master of ['local', 'local[2]']) {
    it(`prints for any batch what the run on ${master} printed, and changes nothing in the directory`, {
      timeout: 120_000,
    }, async () => {
      const cwd = files({ 'job.ts': job })
      const ran = await cli(['run', 'job.ts', '--master', master, '--checkpoint', 'state', '--batches', '24'], { cwd })
      expect(ran.status, ran.stderr).toBe(0)
      const batches = printed(ran.stdout)
      const times = [...batches.keys()]
      expect(times.length).toBeGreaterThanOrEqual(24)
      const before = listing(join(cwd, 'state'))
      const last = times.length - 1
      const picked = master === 'local' ? [0, 1, 2, 3, 5, 8, 9, 13, last - 1, last] : [4, last]
      const replays = picked.map(async (index) => {
        const args = ['replay', '--checkpoint', 'state', '--batch', String(times[index]), '--print-only']
        const { status, stdout, stderr } = await cli(index % 2 === 0 ? args : [...args, 'job.ts'], { cwd })
        expect(status, stderr).toBe(0)
        expect([times[index], printed(stdout)]).toEqual([
          times[index],
          new Map([[times[index]!, batches.get(times[index]!)]]),
        ])
      })
      await Promise.all(replays)
      expect(listing(join(cwd, 'state'))).toEqual(before)
    })
  }

  it('runs all outputs, for the same time, of a batch of a run that was killed; from a copy of the directory', {
    timeout: 60_000,
  }, async () => {
    const cwd = files({ 'job.ts': job })
    const running = startCli(['run', 'job.ts', '--checkpoint', 'state'], { cwd })
    await running.says(/Time: (\d+)[\s\S]*Time: (?!\1)\d+/)
    running.signal('SIGKILL')
    const { stdout } = await running.ended
    const [time, text] = [...printed(stdout)][0]!
    cpSync(join(cwd, 'state'), join(cwd, 'copy'), { recursive: true })
    const replayed = await cli(['replay', '--checkpoint', 'copy', '--batch', new Date(time).toISOString()], { cwd })
    expect(replayed.status, replayed.stderr).toBe(0)
    expect(printed(replayed.stdout).get(time)).toEqual(text)
    const written = readFileSync(join(cwd, 'written'), 'utf8').split('\n')
    const lines = written.filter((line) => line.startsWith(String(time)))
    expect(new Set(lines).size).toBe(1)
  })

  it('knows the batches of earlier runs, from before a stop, a kill, and the time nobody was there', {
    timeout: 60_000,
  }, async () => {
    const cwd = files({ 'job.ts': job })
    const args = ['run', 'job.ts', '--checkpoint', 'state']
    const first = await cli([...args, '--batches', '8'], { cwd })
    const killed = startCli(args, { cwd })
    await killed.says(/(?:Time: [\s\S]*){20}/)
    killed.signal('SIGKILL')
    const second = await killed.ended
    const third = await cli([...args, '--batches', '5'], { cwd })
    for (const { stdout } of [first, second, third]) {
      const batches = [...printed(stdout)].slice(1, -1)
      for (const [time, text] of [batches[0]!, batches.at(-1)!]) {
        const again = await cli(['replay', '--checkpoint', 'state', '--batch', String(time), '--print-only'], { cwd })
        expect([again.stderr, printed(again.stdout)]).toEqual(['', new Map([[time, text]])])
      }
    }
  })

  it('replays a batch of a script that Node ran by itself', { timeout: 60_000 }, async () => {
    const script = `import { Receiver, StateSpec, StorageLevel, StreamingContext } from 'millrace'
${receiver}
const ssc = await StreamingContext.getOrCreate('state', () => {
  const ssc = new StreamingContext({ appName: 'script', batchInterval: '100ms' })
${graph}
  return ssc
})
await ssc.start()
await ssc.awaitTermination()
`
    const cwd = files({ 'script.mjs': script })
    mkdirSync(join(cwd, 'node_modules'))
    symlinkSync(fileURLToPath(new URL('../..', import.meta.url)), join(cwd, 'node_modules/millrace'))
    const running = startNode(join(cwd, 'script.mjs'), { cwd })
    await running.says(/Time: (\d+)[\s\S]*Time: (?!\1)\d+/)
    running.signal('SIGTERM')
    const { stdout } = await running.ended
    const [time, text] = [...printed(stdout)][0]!
    const {
      status,
      stdout: again,
      stderr,
    } = await cli(['replay', '--checkpoint', 'state', '--batch', String(time)], { cwd })
    expect(status, stderr).toBe(0)
    expect(printed(again)).toEqual(new Map([[time, text]]))
  })

  it('lists the batches there are, and says which when another one is asked for', { timeout: 60_000 }, async () => {
    const cwd = files({ 'job.ts': job })
    const conf = ['--conf', 'millrace.replay.retain=500ms']
    const ran = await cli(['run', 'job.ts', '--checkpoint', 'state', '--batches', '24', ...conf], { cwd })
    const times = [...printed(ran.stdout).keys()]
    const list = await cli(['replay', '--checkpoint', 'state'], { cwd })
    expect(list.stdout).toContain(`${times.at(-1)}  ${new Date(times.at(-1)!).toISOString()}  completed, `)
    expect(list.stdout).not.toContain(String(times[0]))
    const gone = await cli(['replay', '--checkpoint', 'state', '--batch', String(times[0])], { cwd })
    expect(gone.status).toBe(1)
    expect(gone.stderr).toMatch(/BATCH_NOT_RETAINED: .*it holds those from \d+ to \d+.*millrace\.replay\.retain/)
    const kept = await cli(['replay', '--checkpoint', 'state', '--batch', String(times.at(-5)), '--print-only'], {
      cwd,
    })
    expect(printed(kept.stdout).get(times.at(-5)!)).toEqual(printed(ran.stdout).get(times.at(-5)!))
  })

  it('says what is wrong with what it is given', { timeout: 60_000 }, async () => {
    const cwd = files({ 'job.ts': job })
    const [bare, nowhere, noTime] = await Promise.all([
      cli(['replay'], { cwd }),
      cli(['replay', '--checkpoint', 'nowhere', '--batch', '1000'], { cwd }),
      cli(['replay', '--checkpoint', 'nowhere', '--batch', 'soon'], { cwd }),
    ])
    expect([bare.status, bare.stderr]).toEqual([2, expect.stringContaining('--checkpoint DIR is missing')])
    expect([nowhere.status, nowhere.stderr]).toEqual([1, expect.stringContaining('CHECKPOINT_INVALID')])
    expect(noTime.status).toBe(1)
    expect(readdirSync(cwd)).not.toContain('nowhere')
  })
})
