/** Every transport against Mosquitto: TCP, TLS with and without a client certificate, WebSocket, fail-over, and shared subscriptions. */
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createWebSocketStream, WebSocketServer } from 'ws'
import type { MqttReceiverOptions } from '../../src/mqtt/mqtt-options.js'
import { MqttStringReceiver } from '../../src/mqtt/mqtt-string-receiver.js'
import { Certificates } from '../support/certificates.js'
import { CollectingSink } from '../support/collecting-sink.js'
import { frame, publish } from '../support/frames.js'
import { freePort, Mosquitto } from '../support/mosquitto.js'
import { ScriptedBroker } from '../support/scripted-broker.js'

const cleanUp: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

function run(url: string | string[], topics: string, options: MqttReceiverOptions = {}) {
  const receiver = new MqttStringReceiver(url, topics, { reconnectMaxDelay: '100ms', ...options })
  const sink = new CollectingSink(receiver)
  void receiver.onStart()
  cleanUp.push(() => receiver.onStop())
  return { receiver, sink }
}

/** Listens for WebSockets and passes them on: Debian's Mosquitto cannot everywhere. Resolves to its port; tells `onUpgrade` of each request. */
async function webSocketFront(
  server: HttpServer | HttpsServer,
  brokerPort: number,
  onUpgrade: (request: IncomingMessage) => void = () => {},
): Promise<number> {
  const front = new WebSocketServer({
    server,
    handleProtocols: (protocols) => (protocols.has('mqtt') ? 'mqtt' : false),
  })
  front.on('connection', (socket, request) => {
    onUpgrade(request)
    const toBroker = connect({ port: brokerPort, host: '127.0.0.1' })
    const fromClient = createWebSocketStream(socket)
    fromClient.pipe(toBroker).pipe(fromClient)
    for (const one of [fromClient, toBroker]) one.on('error', () => socket.terminate())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('with certificates', () => {
  let broker: Mosquitto
  const certificates = new Certificates()
  const pem = (name: string): Buffer => certificates.pem(name)
  const ports = { tls: 0, mutual: 0 }

  beforeAll(async () => {
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort()
    broker = await Mosquitto.start({
      config: [
        'per_listener_settings false',
        `listener ${ports.tls} 127.0.0.1`,
        ...certificates.mosquitto,
        `listener ${ports.mutual} 127.0.0.1`,
        ...certificates.mosquitto,
        'require_certificate true',
      ],
    })
  })
  afterAll(async () => {
    await broker.close()
    certificates.remove()
  })

  async function delivers(url: string, options: MqttReceiverOptions = {}): Promise<void> {
    const { receiver, sink } = run(url, 't/#', options)
    await sink.until(() => broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
    const large = 'x'.repeat(700_000)
    await broker.publish('t/1', 'small')
    await broker.publish('t/2', large)
    await broker.publish('t/3', 'after')
    await sink.until(() => sink.records.length === 3)
    expect(sink.records).toEqual(['small', large, 'after'])
    await sink.until(() => receiver.status?.unacknowledged === 0)
  }

  test.each(['mqtts', 'ssl'])('%s:// verifies the broker and delivers', (scheme) =>
    delivers(`${scheme}://localhost:${ports.tls}`, { tls: { ca: pem('ca.pem') } }),
  )

  test('an unknown authority is refused unless verification is turned off', async () => {
    const { sink } = run(`mqtts://localhost:${ports.tls}`, 't')
    await sink.until(() => sink.codes.includes('MQTT_UNREACHABLE'))
    expect(String(sink.reports[0]?.error)).toMatch(
      /self-signed certificate in certificate chain|unable to verify|unable to get local issuer/,
    )
    await delivers(`mqtts://localhost:${ports.tls}`, { tls: { rejectUnauthorized: false } })
  })

  test('a certificate for another name is refused', async () => {
    const { sink } = run(`mqtts://127.0.0.1:${ports.tls}`, 't', {
      tls: { ca: pem('ca.pem'), servername: 'other.example' },
    })
    await sink.until(() => sink.codes.includes('MQTT_UNREACHABLE'))
    expect(String(sink.reports[0]?.error)).toMatch(/other\.example/)
  })

  test('a client certificate is given where the broker asks for one', async () => {
    const url = `mqtts://localhost:${ports.mutual}`
    const { sink } = run(url, 't', { tls: { ca: pem('ca.pem') } })
    await sink.until(() => sink.codes.includes('MQTT_UNREACHABLE'))
    await delivers(url, { tls: { ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key') } })
  })

  test.each(['ws', 'wss'] as const)('%s:// delivers', async (scheme) => {
    const server =
      scheme === 'ws' ? createHttpServer() : createHttpsServer({ key: pem('server.key'), cert: pem('server.pem') })
    const headers: unknown[] = []
    const port = await webSocketFront(server, broker.port, (request) => {
      headers.push(request.url, request.headers['x-tenant'])
    })
    await delivers(`${scheme}://localhost:${port}/mqtt`, {
      tls: { ca: pem('ca.pem') },
      wsHeaders: { 'x-tenant': 'seven' },
    })
    expect(headers).toEqual(['/mqtt', 'seven'])
  })

  test('what a WebSocket URL has in its query goes to the server, but for the client id, and is never shown', async () => {
    const server = createHttpServer()
    const urls: unknown[] = []
    const port = await webSocketFront(server, broker.port, ({ url }) => urls.push(url))
    const query = '?X-Amz-Signature=s%2Fgned&clientId=seven&empty='
    const { receiver, sink } = run(`ws://localhost:${port}/mqtt${query}`, 't/#')
    await sink.until(() => broker.log.includes('Sending SUBACK to seven'))
    expect(urls).toEqual(['/mqtt?X-Amz-Signature=s%2Fgned&empty='])
    expect(receiver.status?.broker).toBe(`ws://localhost:${port}/mqtt`)
    const { sink: refused } = run(`ws://localhost:${await freePort()}/mqtt${query}`, 't/#')
    await refused.until(() => refused.reports.length > 0)
    expect(inspect(refused.reports[0], { depth: null })).not.toContain('gned')
  })

  test('the name (SNI) and the protocols (ALPN) asked for reach the server', async () => {
    const server = createServer({ key: pem('server.key'), cert: pem('server.pem'), ALPNProtocols: ['x-mqtt'] })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanUp.push(() => void server.close())
    const { port } = server.address() as AddressInfo
    run(`mqtts://127.0.0.1:${port}`, 't', {
      tls: { rejectUnauthorized: false, servername: 'broker.example', ALPNProtocols: ['x-mqtt'] },
    })
    const [socket] = (await once(server, 'secureConnection')) as [TLSSocket & { servername: string }]
    expect([socket.servername, socket.alpnProtocol]).toEqual(['broker.example', 'x-mqtt'])
    socket.destroy()
  })
})

test('what a WebSocket brings with the end of the connection is read: a message, and why it ended', async () => {
  const broker = await ScriptedBroker.start()
  cleanUp.push(() => broker.close())
  const port = await webSocketFront(createHttpServer(), broker.port)
  const { sink } = run(`ws://127.0.0.1:${port}`, 't/#')
  const { socket } = await broker.connection()
  const takenOver = frame(0xe0, [0x8e, 0])
  socket.end(Buffer.concat([publish({ topic: 't/1', payload: 'last' }), takenOver]))
  await sink.until(() => sink.stops.length > 0)
  expect(sink.stops[0]?.error).toMatchObject({ code: 'MQTT_SESSION_TAKEN_OVER' })
  expect(sink.records).toEqual(['last'])
})

test('with several brokers the next one is tried when one cannot be reached', async () => {
  const broker = await Mosquitto.start()
  cleanUp.push(() => broker.close())
  const { receiver, sink } = run([`mqtt://127.0.0.1:${await freePort()}`, broker.url], 't')
  await sink.until(() => broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
  await broker.publish('t', 'here')
  await sink.until(() => sink.records.length === 1)
  expect(sink.codes).toEqual(['MQTT_UNREACHABLE'])
  expect(receiver.status?.broker).toBe(broker.url)
})

test('receivers share a subscription: each message comes to one of them, and all come', async () => {
  const broker = await Mosquitto.start({ config: ['max_queued_messages 0'] })
  cleanUp.push(() => broker.close())
  const members = [0, 1, 2].map((index) => run(broker.url, '$share/group/s/#', { clientId: `member-${index}` }))
  for (const { receiver, sink } of members)
    await sink.until(() => broker.log.includes(`Sending SUBACK to ${receiver.clientId}`))
  const lines = Array.from({ length: 300 }, (_, i) => String(i))
  for (let at = 0; at < lines.length; at += 50) {
    await broker.publish('s/1', lines[at]!)
    for (let i = at + 1; i < at + 50; i += 7)
      await broker.publish('s/2', lines.slice(i, Math.min(i + 7, at + 50)).join('\n'))
  }
  const all = (): string[] => members.flatMap(({ sink }) => sink.records)
  await members[0]!.sink.until(() => all().length === lines.length)
  expect(all().sort((a, b) => Number(a) - Number(b))).toEqual(lines)
  for (const { sink } of members) expect(sink.records.length).toBeGreaterThan(0)
})
