/** A Mosquitto of the benchmark's own on free ports of loopback, one of them for WebSockets, which keeps everything in memory and drops nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const paths = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto', '/opt/homebrew/sbin/mosquitto']

export async function startMosquitto() {
  const [port, webSocketPort] = [await freePort(), await freePort()]
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const file = join(directory, 'mosquitto.conf')
  const settings = ['max_inflight_messages 1000', 'max_queued_messages 0', 'persistence false']
  const listeners = [`listener ${port} 127.0.0.1`, `listener ${webSocketPort} 127.0.0.1`, 'protocol websockets']
  writeFileSync(file, [...listeners, 'allow_anonymous true', ...settings, ''].join('\n'))
  const child = spawn(paths.find(existsSync) ?? 'mosquitto', ['-c', file], { stdio: 'ignore' })
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`Mosquitto ended with ${child.exitCode}.`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    webSocketUrl: `ws://127.0.0.1:${webSocketPort}`,
    pid: child.pid,
    stop() {
      child.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
