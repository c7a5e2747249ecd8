/** A broker for the demo: Mosquitto when it is on the machine, else the one in this process. Loopback only, on a free port. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface DemoBroker {
  readonly url: string
  /** What it is, for people. */
  readonly name: string
  stop(): Promise<void>
}

/** Starts it; resolves when it accepts connections. A Mosquitto that does not start is told to `warn`, and done without. */
export async function startDemoBroker(warn: (text: string) => void): Promise<DemoBroker> {
  const program = findMosquitto()
  if (program === null) return await startEmbedded()
  try {
    return await startMosquitto(program)
  } catch (error) {
    warn(`${program} does not start, so the broker is one in this process. ${(error as Error).message}`)
    return await startEmbedded()
  }
}

/** The path of Mosquitto, or null; Debian puts it where the PATH of an ordinary user does not look. */
export function findMosquitto(): string | null {
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin']
  return directories.map((directory) => join(directory, 'mosquitto')).find((path) => existsSync(path)) ?? null
}

async function startEmbedded(): Promise<DemoBroker> {
  const { EmbeddedBroker } = await import('../mqtt/embedded-broker.js')
  const broker = await EmbeddedBroker.start()
  return { url: broker.url, name: 'A broker in this process', stop: () => broker.close() }
}

/**
 * Starts Mosquitto under a shell that outlives neither us nor it: the shell waits on its standard input, which closes when this
 * process ends, however it ends, and then takes Mosquitto and its directory with it. In a process group of its own, so that Ctrl-C reaches us only.
 */
async function startMosquitto(program: string): Promise<DemoBroker> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-broker-'))
  // Started by root, Mosquitto becomes a user of its own, who must be able to read its file.
  chmodSync(directory, 0o755)
  const port = await freePort()
  const conf = join(directory, 'mosquitto.conf')
  writeFileSync(conf, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n`)
  const shell = spawn(
    '/bin/sh',
    ['-c', '"$0" -c "$1" & exec >&- 2>&-; read _; kill $!; wait; rm -r "$2"', program, conf, directory],
    {
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
    },
  )
  const stopped = once(shell, 'exit')
  const stop = async (): Promise<void> => {
    shell.stdin.end()
    await stopped
  }
  let log = ''
  await new Promise<void>((resolve, reject) => {
    shell.once('error', reject)
    shell.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (/mosquitto version \S+ running/.test(text)) resolve()
      log = (log + text).slice(-2000)
    })
    shell.stderr.once('end', () => reject(new Error(`It ended at once: ${log.trim() || 'without a word'}`)))
  }).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { url: `mqtt://127.0.0.1:${port}`, name: 'Mosquitto', stop }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
