/** A script that Node runs by itself, told to end by a signal: Spark's shutdown hook. */
import { describe, expect, it } from 'vitest'
import { files, type RunningCli, startNode } from './cli/cli.js'

const millrace = new URL('../dist/index.js', import.meta.url).href

/** Prints the begin and the end of each batch, and what it does when the context has stopped. */
function script({ conf = '{}', batch = 'setTimeout(resolve, 30)', before = '', after = '' }): RunningCli {
  const text = `import { StreamingContext } from ${JSON.stringify(millrace)}
${before}
const ssc = new StreamingContext({ appName: 'script', batchInterval: '20ms', conf: ${conf} })
ssc.queueStream([]).foreachRDD(async () => {
  console.log('begin')
  await new Promise((resolve) => ${batch})
  console.log('end')
})
await ssc.start()
await ssc.awaitTermination()
console.log('after')
${after}
`
  return startNode('script.js', { cwd: files({ 'script.js': text }) })
}

describe('a script that gets a signal', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'finishes its batch at %s, does what comes after, and ends',
    async (signal) => {
      const running = script({})
      await running.says(/begin\nend\nbegin/)
      running.signal(signal)
      const { status, stdout } = await running.ended
      expect(status).toBe(0)
      expect(stdout).toMatch(/^(begin\nend\n)+after\n$/)
    },
  )

  it('processes what was received first, when told so', async () => {
    const before = `import { Receiver, StorageLevel } from ${JSON.stringify(millrace)}
class Source extends Receiver {
  constructor() { super(StorageLevel.MEMORY_ONLY) }
  onStart() { this.store('grain'); console.log('stored') }
  onStop() {}
}
const receiver = new Source()
`
    const text = (graceful: boolean): string => `${before}
import { StreamingContext } from ${JSON.stringify(millrace)}
const conf = { 'spark.streaming.stopGracefullyOnShutdown': ${graceful} }
const ssc = new StreamingContext({ appName: 'script', batchInterval: '1h', conf })
ssc.receiverStream(receiver).foreachRDD(async (rdd) => console.log(await rdd.collect()))
await ssc.start()
await ssc.awaitTermination()
`
    const outputs = [true, false].map(async (graceful) => {
      const running = startNode('script.js', { cwd: files({ 'script.js': text(graceful) }) })
      await running.says(/stored/)
      running.signal('SIGTERM')
      return (await running.ended).stdout
    })
    expect(await Promise.all(outputs)).toEqual(["stored\n[ 'grain' ]\n", 'stored\n'])
  })

  it('ends at once at the second signal', async () => {
    const running = script({ batch: 'setInterval(() => {}, 1000)' })
    await running.says(/begin/)
    running.signal('SIGINT')
    running.signal('SIGTERM')
    // Which of two signals that wait is delivered first is the system's choice.
    expect(['SIGINT', 'SIGTERM']).toContain((await running.ended).signal)
  })

  it('is ended by it in the end when it goes on after the stop', { timeout: 60_000 }, async () => {
    const running = script({ after: 'setInterval(() => {}, 1000)' })
    await running.says(/begin/)
    running.signal('SIGTERM')
    const { signal, stdout } = await running.ended
    expect([signal, stdout.endsWith('after\n')]).toEqual(['SIGTERM', true])
  })

  it('is left alone when it minds its signals itself', async () => {
    const running = script({ before: "process.on('SIGINT', () => { console.log('mine'); void ssc.stop() })" })
    await running.says(/begin/)
    running.signal('SIGINT')
    const { status, stdout } = await running.ended
    expect(status).toBe(0)
    expect(stdout).toMatch(/mine\n(end\n)?after\n$/)
  })
})
