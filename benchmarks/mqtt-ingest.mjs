/**
 * How fast an MqttReceiver takes messages from a socket into stored blocks and acknowledges them, with no broker in between, against MQTT.js
 * counting the same messages. With "log" a block is stored when it is in the write ahead log and on disk (fdatasync). Throughput, and this
 * process's CPU (user and system) per message, all its threads; beside it the CPU of the sender, which needs a core of its own.
 *
 *   npm run build && node benchmarks/mqtt-ingest.mjs [millions of messages=4] [rounds=3] [only the case of this name]
 */
import { execFileSync, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cpuSeconds } from './support/processes.mjs'

const self = fileURLToPath(import.meta.url)
const millions = Number(process.argv[2] ?? 4)
const rounds = Number(process.argv[3] ?? 3)

if (process.argv[2] === '--client') await client(JSON.parse(process.argv[3]))
else await main()

async function main() {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const key = join(directory, 'key.pem')
  const cert = join(directory, 'cert.pem')
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ],
    { stdio: 'ignore' },
  )
  const cases = [
    { name: '64 B, QoS 1', payloadBytes: 64, qos: 1 },
    { name: '64 B, QoS 1, log', payloadBytes: 64, qos: 1, isLogged: true },
    { name: '64 B, QoS 0', payloadBytes: 64, qos: 0 },
    { name: '1 KiB, QoS 0', payloadBytes: 1024, qos: 0 },
    { name: '1 KiB, QoS 1', payloadBytes: 1024, qos: 1 },
    { name: '64 B, QoS 1, TLS 1.3', payloadBytes: 64, qos: 1, tls: { key, cert } },
    { name: '64 B, QoS 1, MQTT 3.1.1', payloadBytes: 64, qos: 1, version: 4 },
  ]
  for (const one of cases.filter(({ name }) => (process.argv[4] ?? name) === name)) {
    const results = { millrace: [], 'mqtt.js': [] }
    for (let round = 0; round < rounds; round++) {
      for (const who of Object.keys(results)) {
        const share = who === 'millrace' ? 1 : 0.1
        const messages = Math.round(millions * 1e6 * share * (one.payloadBytes > 64 ? 0.5 : 1))
        results[who].push(await run(one, who, messages))
      }
    }
    const [ours, theirs] = Object.values(results).map(median)
    const line = (result) =>
      `${(result.rate / 1e6).toFixed(2)} M/s  ${(result.megabytes / 1000).toFixed(2)} GB/s  ${result.us.toFixed(3)} us CPU (user ${result.user.toFixed(3)}; sender ${result.senderUs.toFixed(3)})`
    console.log(
      `${one.name.padEnd(26)} millrace ${line(ours)}   mqtt.js ${line(theirs)}   ratio ${(ours.rate / theirs.rate).toFixed(1)}x rate, ${(theirs.us / ours.us).toFixed(1)}x less CPU`,
    )
  }
  rmSync(directory, { recursive: true })
}

async function run(one, who, messages) {
  const sender = fork(
    join(self, '..', 'support', 'counted-sender.mjs'),
    [JSON.stringify({ ...one, messages, topics: 1000 })],
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  )
  const port = await new Promise((resolve) => sender.stdout.once('data', (chunk) => resolve(Number(chunk))))
  const senderSeconds = cpuSeconds(sender.pid)
  const child = fork(self, ['--client', JSON.stringify({ ...one, who, port, messages })], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const result = await new Promise((resolve) => child.once('message', resolve))
  const senderUs = ((cpuSeconds(sender.pid) - senderSeconds) * 1e6) / messages
  child.disconnect()
  sender.disconnect()
  return { ...result, senderUs }
}

async function client({ who, port, messages, tls, version = 5, qos, payloadBytes, isLogged = false }) {
  const scheme = tls ? 'mqtts' : 'mqtt'
  const url = `${scheme}://127.0.0.1:${port}`
  let count = 0
  let begin = 0
  let cpu = null
  const took = (n) => {
    if (count === 0) {
      begin = performance.now()
      cpu = process.cpuUsage()
    }
    count += n
    if (count >= messages) {
      const ms = performance.now() - begin
      const { user, system } = process.cpuUsage(cpu)
      process.send({
        rate: (count / ms) * 1000,
        us: (user + system) / count,
        user: user / count,
        system: system / count,
        megabytes: (count * payloadBytes) / ms / 1000,
      })
      count = Number.NEGATIVE_INFINITY
    }
  }
  process.on('disconnect', () => process.exit())
  if (who === 'millrace') {
    const { MqttMessageReceiver } = await import('../dist/mqtt/mqtt-message-receiver.js')
    const receiver = new MqttMessageReceiver(url, '#', {
      qos,
      protocolVersion: version,
      ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    })
    const blocks = []
    let kept = 0
    const log = isLogged ? await openLog() : null
    receiver.attach({
      streamId: 0,
      isStarted: true,
      isStopped: false,
      ratePerSecond: null,
      async storeBytes(block) {
        // On disk (fdatasync), or in memory as a block manager does; the batch before is forgotten every 64 MB.
        if (log !== null) {
          await log.append(1, [block.bytes])
          block.release?.()
          took(block.records)
          return
        }
        blocks.push(block)
        kept += block.bytes.length
        if (kept > 64e6) {
          for (const { release } of blocks) release?.()
          blocks.length = 0
          kept = 0
        }
        took(block.records)
      },
      reportError: (message, error) => console.error(message, error),
    })
    receiver.onStart()
  } else {
    const mqtt = await import('mqtt')
    const peer = mqtt.connect(url, {
      protocolVersion: version,
      rejectUnauthorized: false,
      properties: version === 5 ? { receiveMaximum: 65_535 } : undefined,
    })
    peer.on('message', () => took(1))
    peer.subscribe('#', { qos })
  }
}

/** A log in a directory that is gone when this process ends. */
async function openLog() {
  const { openDirectory } = await import('../dist/storage/directory-handle.js')
  const { WriteAheadLog } = await import('../dist/storage/write-ahead-log.js')
  const path = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'millrace-bench-log-'))
  process.on('exit', () => rmSync(path, { recursive: true, force: true }))
  return WriteAheadLog.open(await openDirectory(path), () => {}, { sync: 'always' })
}

function median(results) {
  return results.sort((a, b) => a.rate - b.rate)[Math.floor(results.length / 2)]
}
