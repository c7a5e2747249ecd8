/** HiveMQ Community Edition for tests: a broker of another make, which speaks MQTT 5 and enforces its in-flight limit. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './mosquitto.js'

const source = fileURLToPath(new URL('hivemq/Broker.java', import.meta.url))
const setup = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url))
const jars = fileURLToPath(new URL('../../.cache/hivemq/lib/*', import.meta.url))
// What HiveMQ asks of Java 17.
const opens = [
  'java.base/java.lang',
  'java.base/java.nio',
  'java.base/sun.nio.ch',
  'jdk.management/com.sun.management.internal',
]

export class HiveMQ {
  readonly port: number
  readonly directory: string
  readonly #sessions: 'file' | 'in-memory'
  #process: ChildProcess | null = null
  #output = ''

  private constructor(port: number, directory: string, sessions: 'file' | 'in-memory') {
    this.port = port
    this.directory = directory
    this.#sessions = sessions
  }

  /** Sessions in memory do not outlive the broker, and are some ten times faster. */
  static async start(sessions: 'file' | 'in-memory' = 'file'): Promise<HiveMQ> {
    execFileSync(process.execPath, [setup, 'hivemq'])
    const directory = await mkdtemp(join(tmpdir(), 'millrace-hivemq-'))
    const broker = new HiveMQ(await freePort(), directory, sessions)
    await broker.restart()
    return broker
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`
  }

  /** Starts the broker again on the same port and data. */
  async restart(): Promise<void> {
    const add = opens.map((one) => `--add-opens=${one}=ALL-UNNAMED`)
    const settings = [this.directory, String(this.port), this.#sessions]
    // Half the processor time to the first message: these brokers live for seconds.
    const quick = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
    const child = spawn('java', ['-Xmx512m', ...quick, ...add, '-cp', jars, source, ...settings], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process = child
    this.#output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-100_000)
        if (/^ready$/m.test(this.#output)) child.emit('ready')
      })
    }
    const ended = once(child, 'exit').then(([code]) => {
      if (!/^ready$/m.test(this.#output)) throw new Error(`HiveMQ ended with ${code}:\n${this.#output}`)
    })
    await Promise.race([once(child, 'ready'), ended])
    ended.catch(() => {})
  }

  /** Ends it in order, or at once with SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    if (signal === 'SIGKILL') child.kill('SIGKILL')
    else child.stdin?.end()
    await exited
  }

  async close(): Promise<void> {
    await this.end('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
  }
}
