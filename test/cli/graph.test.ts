/** `millrace graph` and `millrace lint`: jobs looked at, not run. */
import { describe, expect, it } from 'vitest'
import { cli, files } from './cli.js'

const job = (body: string, before = ''): string => `import { defineJob, Receiver, StorageLevel } from 'millrace'
class Ticks extends Receiver<number> {
  constructor() { super(StorageLevel.MEMORY_ONLY) }
  onStart() { console.log('STARTED') }
  onStop() {}
}
${before}
export default defineJob({ name: 'looked-at', batchInterval: '1s' }, (ssc) => {
  ${body}
})
`

describe('millrace graph', () => {
  const source = job(`
  const ticks = ssc.receiverStream(new Ticks())
  ticks.map((n) => [n % 2, n]).reduceByKey((a, b) => a + b).named('sums').print()
  ticks.window('4s', '2s').count().print()`)

  it('shows operators, receivers, slides and outputs, and starts nothing', async () => {
    const { status, stdout } = await cli(['graph', 'job.ts'], { cwd: files({ 'job.ts': source }) })
    expect(status).toBe(0)
    expect(stdout).toBe(`looked-at, a batch every 1000 ms
  0-receiverStream  Ticks
  1-map             of 0-receiverStream
  sums              of 1-map
  3-window          of 0-receiverStream, every 2000 ms
  4-count           of 3-window, every 2000 ms
  print             of sums
  print             of 4-count
`)
  })

  it('draws it for Mermaid', async () => {
    const { stdout } = await cli(['graph', 'job.ts', '--format', 'mermaid'], { cwd: files({ 'job.ts': source }) })
    expect(stdout.split('\n')[0]).toBe('flowchart TD')
    expect(stdout).toContain('n0["0-receiverStream: Ticks"]')
    expect(stdout).toContain('n1 --> n2\n')
    expect(stdout).toContain('n2 --> o0(["print"])')
  })

  it('gives it as JSON', async () => {
    const { stdout } = await cli(['graph', 'job.ts', '--format', 'json'], { cwd: files({ 'job.ts': source }) })
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'looked-at',
      batchIntervalMs: 1000,
      operators: { length: 5, 0: { id: '0-receiverStream', receiver: 'Ticks' }, 2: { id: 'sums', parents: ['1-map'] } },
      outputs: [
        { operation: 'print', of: 'sums' },
        { operation: 'print', of: '4-count' },
      ],
    })
  })
})

describe('millrace lint', () => {
  const lint = (source: string, args: string[] = []): ReturnType<typeof cli> =>
    cli(['lint', 'job.ts', ...args], { cwd: files({ 'job.ts': source }) })

  it('finds nothing wrong with a good job', async () => {
    const { status, stdout } = await lint(job('ssc.receiverStream(new Ticks()).print()'))
    expect(stdout).toBe('job.ts: 0 errors, 0 warnings\n')
    expect(status).toBe(0)
  })

  it('finds a graph that comes out different the second time', async () => {
    const source = job(
      'const ticks = ssc.receiverStream(new Ticks())\n  ;(n++ === 0 ? ticks.map((x) => x) : ticks.filter(() => true)).print()',
      'let n = 0',
    )
    const { status, stdout } = await lint(source)
    expect(status).toBe(1)
    expect(stdout).toContain('error  The graph comes out different when it is built again, first at 1-map')
  })

  it('accepts a receiver that is made outside the graph', async () => {
    const { status, stdout } = await lint(job('ssc.receiverStream(ticks).print()', 'const ticks = new Ticks()'))
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'job.ts: 0 errors, 0 warnings\n' })
  })

  it('finds a graph without an output, and streams nobody uses', async () => {
    const { status, stdout } = await lint(job('ssc.receiverStream(new Ticks()).map((n) => n + 1)'))
    expect(status).toBe(1)
    expect(stdout).toContain('error  No output operation')
    expect(stdout).toContain('warning  1-map is used by no other operation and no output.')
  })

  it('warns of settings without effect', async () => {
    const source = job('ssc.receiverStream(new Ticks()).print()').replace(
      "batchInterval: '1s'",
      "batchInterval: '1s', conf: { 'spark.executor.memory': '2g', 'spark.streaming.blockInterval': '2s' }",
    )
    const { status, stdout } = await lint(source)
    expect(status).toBe(0)
    expect(stdout).toContain('warning  spark.executor.memory has no effect on master local.')
    expect(stdout).toContain(
      'warning  spark.streaming.blockInterval (2000 ms) is longer than the batch interval (1000 ms)',
    )
  })
})
