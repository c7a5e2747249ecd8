/** Receivers as users write them: a counter, a TCP client, and ones that fail in every way. */
import { once } from 'node:events'
import net from 'node:net'
import { Receiver, StorageLevel, StreamingContext } from 'millrace'
import { afterEach, expect, test } from 'vitest'
import { files, startNode } from '../cli/cli.js'
import { settle, testContext } from '../support/contexts.js'

afterEach(async () => {
  await StreamingContext.getActive()?.stop()
})

class LineReceiver extends Receiver<string> {
  readonly #port: number
  #socket: net.Socket | null = null

  constructor(port: number) {
    super(StorageLevel.MEMORY_AND_DISK_2)
    this.#port = port
  }

  async onStart(): Promise<void> {
    const socket = net.connect(this.#port, '127.0.0.1')
    this.#socket = socket
    let rest = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.store(line)
    })
    socket.on('close', () => {
      if (!this.isStopped()) this.restart('The server closed the connection', undefined, 1)
    })
    await once(socket, 'connect')
  }

  async onStop(): Promise<void> {
    const socket = this.#socket
    if (socket === null || socket.destroyed) return
    socket.destroy()
    await once(socket, 'close')
  }
}

test('a TCP receiver delivers every line once, in order, over a connection that breaks', {
  timeout: 20_000,
}, async () => {
  const connections: net.Socket[] = []
  const waiting: ((socket: net.Socket) => void)[] = []
  const server = net.createServer((socket) => {
    connections.push(socket)
    waiting.shift()?.(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const nextConnection = (): Promise<net.Socket> => new Promise((resolve) => waiting.push(resolve))
  const ssc = new StreamingContext({
    appName: 'tcp',
    batchInterval: '50ms',
    conf: { 'spark.streaming.blockInterval': '10ms' },
  })
  const lines: string[] = []
  const allThere = new Promise<void>((resolve) => {
    ssc.receiverStream(new LineReceiver((server.address() as net.AddressInfo).port)).foreachRDD(async (rdd) => {
      lines.push(...(await rdd.collect()))
      if (lines.length === 4) resolve()
    })
  })
  const first = nextConnection()
  await ssc.start()
  const second = nextConnection()
  ;(await first).end('one\ntwo\n')
  ;(await second).write('three\nfour\n')
  await allThere
  expect(lines).toEqual(['one', 'two', 'three', 'four'])
  await ssc.stop({ graceful: true })
  for (const socket of connections) socket.destroy()
  server.close()
})

class Failing extends Receiver<number> {
  starts = 0
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {
    this.starts++
    if (this.starts === 1) throw new Error('no cable')
    void (async () => {
      await null
      throw new Error('nobody awaits me')
    })()
  }
  onStop(): void {}
}

test('errors of onStart and of promises nobody awaited reach the listeners; the process and the other streams live on', async () => {
  const { ssc, clock, nextBatch } = testContext({ 'spark.streaming.receiverRestartDelay': '100ms' })
  const failing = new Failing()
  const errors: string[] = []
  ssc.receiverStream(failing).foreachRDD(() => {})
  const seen: number[] = []
  ssc.queueStream([[1], [2], [3]]).foreachRDD(async (rdd) => void seen.push(...(await rdd.collect())))
  ssc.addStreamingListener({ onReceiverError: ({ name, lastError }) => void errors.push(`${name}: ${lastError}`) })
  await ssc.start()
  await settle()
  clock.advance(100)
  await settle()
  expect(failing.starts).toBe(2)
  expect(errors).toEqual(['Failing-0: no cable', 'Failing-0: nobody awaits me'])
  await nextBatch()
  await nextBatch()
  expect(seen).toEqual([1, 2])
})

test('what a receiver throws where nobody catches it restarts that receiver; what the program throws there ends it', async () => {
  const script = `import { connect } from 'node:net'
import { Receiver, StorageLevel, StreamingContext } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}
class Careless extends Receiver {
  #starts = 0
  constructor() { super(StorageLevel.MEMORY_ONLY) }
  onStart() {
    this.#starts++
    if (this.#starts === 1) connect(1, '127.0.0.1')
    else if (this.#starts === 2) setTimeout(() => { throw new TypeError('no such field') }, 1)
    else this.store('third time')
  }
  onStop() {}
}
const conf = { 'spark.streaming.receiverRestartDelay': '10ms', 'spark.streaming.blockInterval': '10ms' }
const ssc = new StreamingContext({ appName: 'careless', batchInterval: '50ms', conf })
const errors = []
ssc.addStreamingListener({ onReceiverError: ({ lastError }) => void errors.push(lastError) })
ssc.receiverStream(new Careless()).foreachRDD(async (rdd) => {
  if ((await rdd.count()) === 0) return
  console.log(errors.join('; '), await rdd.collect())
  setTimeout(() => { throw new RangeError('mine') }, 1)
})
await ssc.start()
await ssc.awaitTermination()
`
  const { status, stdout, stderr } = await startNode('careless.js', { cwd: files({ 'careless.js': script }) }).ended
  expect(stdout).toBe("connect ECONNREFUSED 127.0.0.1:1; no such field [ 'third time' ]\n")
  expect(stderr).toMatch(/^RangeError: mine\n +at /m)
  expect(status).toBe(1)
})
