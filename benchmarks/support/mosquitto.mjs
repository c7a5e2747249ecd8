/** A Mosquitto of the benchmark's own on a free port of loopback, which keeps everything in memory and drops nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const paths = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto', '/opt/homebrew/sbin/mosquitto']

export async function startMosquitto() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const file = join(directory, 'mosquitto.conf')
  const settings = ['max_inflight_messages 1000', 'max_queued_messages 0', 'persistence false']
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\n${settings.join('\n')}\n`)
  const child = spawn(paths.find(existsSync) ?? 'mosquitto', ['-c', file], { stdio: 'ignore' })
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`Mosquitto ended with ${child.exitCode}.`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {
    port,
    pid: child.pid,
    stop() {
      child.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
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
