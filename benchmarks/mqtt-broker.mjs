/**
 * A mean per sensor of JSON readings of 64 bytes at QoS 1, each tenth of a second, through Mosquitto: Millrace against MQTT.js with RxJS doing the same job.
 *
 *   drain   a persistent session in which a million messages wait: until the last of them is in a mean
 *   ws      the same over WebSockets, where the broker reads and writes many packets at once
 *   live    as many as a publisher gets through while the subscriber reads
 *
 * CPU is the subscriber's (user and system), and the broker's beside it: the broker's share of the time is what no subscriber can save.
 *
 *   npm run build && node benchmarks/mqtt-broker.mjs [messages to drain=1000000] [rounds=3] [seconds live=6] [drain|ws|live: only this]
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import mqtt from 'mqtt'
import { subscribers } from './support/mean-subscribers.mjs'
import { startMosquitto } from './support/mosquitto.mjs'
import { cpuSeconds } from './support/processes.mjs'

const self = fileURLToPath(import.meta.url)
const names = Object.keys(subscribers)

if (process.argv[2] === '--subscriber') await subscribe(...process.argv.slice(3))
else
  await main(
    Number(process.argv[2] ?? 1e6),
    Number(process.argv[3] ?? 3),
    Number(process.argv[4] ?? 6),
    process.argv[5],
  )

async function main(messages, rounds, seconds, only) {
  const kinds = ['drain', 'ws', 'live'].filter((kind) => (only ?? kind) === kind)
  const results = Object.fromEntries(kinds.map((kind) => [kind, names.map(() => [])]))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? names : names.toReversed()
    for (const kind of kinds) {
      if (kind === 'live') for (const name of order) results.live[names.indexOf(name)].push(await live(name, seconds))
      else {
        const drained = await drain(messages, order, kind === 'ws' ? 'webSocketUrl' : 'url')
        for (const name of order) results[kind][names.indexOf(name)].push(drained[name])
      }
    }
  }
  for (const [kind, runs] of Object.entries(results)) {
    const [ours, theirs] = runs.map(median)
    console.log(`${kind}\n  ${names[0].padEnd(16)}${shown(ours)}\n  ${names[1].padEnd(16)}${shown(theirs)}`)
    console.log(
      `  ratio           ${(ours.rate / theirs.rate).toFixed(2)}x the messages per second, 1/${(theirs.us / ours.us).toFixed(1)} of the CPU per message`,
    )
  }
}

/** One queue for each subscriber, filled by the same messages, drained one after the other. */
async function drain(messages, order, url) {
  const broker = await startMosquitto()
  try {
    for (const name of order) await beginSession(broker, clientIdOf(name))
    await publisher(broker, messages).done
    const results = {}
    for (const name of order) {
      const subscriber = await start(name, broker[url], messages)
      const before = cpuSeconds(broker.pid)
      const begin = performance.now()
      subscriber.child.send('go')
      await subscriber.until(() => subscriber.total >= messages)
      const ms = performance.now() - begin
      results[name] = measured(messages, ms, subscriber, cpuSeconds(broker.pid) - before)
      await subscriber.end()
    }
    return results
  } finally {
    broker.stop()
  }
}

async function live(name, seconds) {
  const broker = await startMosquitto()
  const subscriber = await start(name, broker.url, 0)
  const source = publisher(broker, 0)
  try {
    // Warm first: two seconds from the first message on.
    await subscriber.until(() => subscriber.total > 0)
    await new Promise((resolve) => setTimeout(resolve, 2000))
    await subscriber.next()
    const from = { ...subscriber.last, broker: cpuSeconds(broker.pid) }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    await subscriber.next()
    const to = subscriber.last
    const usage = { last: { cpu: to.cpu - from.cpu } }
    return measured(to.total - from.total, to.at - from.at, usage, cpuSeconds(broker.pid) - from.broker)
  } finally {
    source.child.kill()
    await subscriber.end()
    broker.stop()
  }
}

/** Subscribes in the name of a subscriber that comes later. */
async function beginSession({ url }, clientId) {
  const properties = { sessionExpiryInterval: 3600 }
  const client = await mqtt.connectAsync(url, {
    clientId,
    clean: false,
    protocolVersion: 5,
    properties,
  })
  await client.subscribeAsync('plant/#', { qos: 1 })
  await client.endAsync()
}

function clientIdOf(name) {
  return `means-${names.indexOf(name)}`
}

function measured(messages, ms, { last }, brokerSeconds) {
  return {
    rate: (messages * 1000) / ms,
    us: last.cpu / messages,
    brokerUs: (brokerSeconds * 1e6) / messages,
    brokerShare: (brokerSeconds * 1000) / ms,
  }
}

function shown({ rate, us, brokerUs, brokerShare }) {
  return `${Math.round(rate / 1000)}k messages/s, ${us.toFixed(2)} us CPU a message; the broker ${brokerUs.toFixed(2)} us a message, busy ${Math.round(brokerShare * 100)} % of the time`
}

function median(runs) {
  return runs.sort((a, b) => a.rate - b.rate)[Math.floor(runs.length / 2)]
}

function publisher(broker, messages) {
  const script = fileURLToPath(new URL('support/reading-publisher.mjs', import.meta.url))
  const child = spawn(process.execPath, [script, String(broker.port), String(messages)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return { child, done: once(child.stdout, 'data') }
}

/** A subscriber in a process of its own; `expected` messages make it wait for `go`. */
async function start(name, url, expected) {
  const child = fork(self, ['--subscriber', name, url, expected > 0 ? 'waits' : 'starts'])
  const subscriber = {
    child,
    total: 0,
    last: null,
    async next() {
      await once(child, 'message')
    },
    async until(condition) {
      while (!condition()) await once(child, 'message')
    },
    async end() {
      child.send('end')
      await once(child, 'exit')
    },
  }
  child.on('message', (told) => {
    if (told.total === undefined) return
    subscriber.total = told.total
    subscriber.last = told
  })
  if (expected > 0) await subscriber.next()
  return subscriber
}

async function subscribe(name, url, when) {
  let total = 0
  let running = null
  let cpuFrom = null
  process.on('message', async (told) => {
    if (told === 'go') begin()
    else {
      await running?.then(({ close }) => close())
      process.exit()
    }
  })
  const begin = () => {
    cpuFrom = process.cpuUsage()
    running = subscribers[name](url, { clientId: clientIdOf(name) }, (messages) => {
      total += messages
      const { user, system } = process.cpuUsage(cpuFrom)
      process.send({ total, at: performance.now(), cpu: user + system })
    })
  }
  if (when === 'starts') begin()
  else {
    // What they import is loaded before the clock runs.
    await Promise.all([import('millrace'), import('mqtt'), import('rxjs')])
    process.send({ isReady: true })
  }
}
