/** A real Mosquitto for tests: own configuration, own data directory, a free port; started, stopped, killed and started again at will. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const binary =
  ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto', '/opt/homebrew/sbin/mosquitto'].find(
    existsSync,
  ) ?? 'mosquitto'

/** A port nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export interface MosquittoOptions {
  /** Lines of mosquitto.conf after `listener` and `allow_anonymous`. `%dir%` stands for the data directory. */
  readonly config?: readonly string[]
  /** False: the listener lines are all in `config` and use `%port%`. */
  readonly listener?: boolean
  /** Files to write into the data directory first, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Keep sessions and queues in the data directory. */
  readonly persistence?: boolean
}

export class Mosquitto {
  readonly port: number
  readonly directory: string
  #process: ChildProcess | null = null
  /** What the broker printed. */
  log = ''

  private constructor(port: number, directory: string) {
    this.port = port
    this.directory = directory
  }

  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const port = await freePort()
    const directory = await mkdtemp(join(tmpdir(), 'millrace-mosquitto-'))
    await chmod(directory, 0o777)
    const lines = [
      ...(options.listener === false ? [] : [`listener ${port} 127.0.0.1`, 'allow_anonymous true']),
      ...(options.persistence === true
        ? ['persistence true', `persistence_location ${directory}/`]
        : ['persistence false']),
      'log_dest stderr',
      'log_type all',
      'connection_messages true',
      'user root',
      ...(options.config ?? []),
    ].map((line) => line.replaceAll('%dir%', directory).replaceAll('%port%', String(port)))
    for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(directory, name), text)
    await writeFile(join(directory, 'mosquitto.conf'), `${lines.join('\n')}\n`)
    const broker = new Mosquitto(port, directory)
    await broker.restart()
    return broker
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`
  }

  /** Starts the broker again on the same port and data. */
  async restart(): Promise<void> {
    const child = spawn(binary, ['-c', join(this.directory, 'mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = child
    let failure: Error | null = null
    child.on('error', (error) => {
      failure = error
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-200_000)
    })
    while (!(await accepts(this.port))) {
      if (failure !== null) throw failure
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}:\n${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  /** Ends it in order (it saves its data), or at once with SIGKILL (it does not). Resolves to how it ended: 0 in order. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    const child = this.#process
    this.#process = null
    if (child === null) return null
    const exited = child.exitCode !== null || child.signalCode !== null ? null : once(child, 'exit')
    child.kill(signal)
    await exited
    return child.exitCode ?? child.signalCode
  }

  /** Writes the broker's data to disk now. */
  async save(): Promise<void> {
    this.#process?.kill('SIGUSR1')
  }

  /** Ends the broker and removes its data. */
  async close(): Promise<void> {
    await this.end('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
  }

  /** Resolves when the client is subscribed. */
  async subscribed(clientId: string): Promise<void> {
    while (!this.log.includes(`Sending SUBACK to ${clientId}`)) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  /** Publishes with mosquitto_pub, the C client. `arguments_` follow `-t topic`. */
  async publish(topic: string, payload: string | Buffer, ...rest: string[]): Promise<void> {
    const file = join(this.directory, `payload-${process.hrtime.bigint()}`)
    await writeFile(file, payload)
    const content = payload.length === 0 ? ['-n'] : ['-f', file]
    await run('mosquitto_pub', [
      '-h',
      '127.0.0.1',
      '-p',
      String(this.port),
      '-q',
      '1',
      '-t',
      topic,
      ...content,
      ...rest,
    ])
    await rm(file)
  }
}

/** True while something accepts connections on that port of loopback. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
