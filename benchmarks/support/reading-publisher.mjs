/**
 * Publishes JSON readings of 1,000 sensors at QoS 1, about 64 bytes each, as fast as the broker acknowledges them: pre-encoded, never more than
 * 4,000 on their way, so that it costs little beside the broker.
 *
 *   node reading-publisher.mjs <port> <messages>     0 messages: until it is ended. Prints `done` when all are acknowledged
 */
import { connect } from 'node:net'

const [port, messages] = process.argv.slice(2).map(Number)
const SENSORS = 1000
const WINDOW = 4000
/** Packets to a write. */
const CHUNK = 500
const IDS = 60_000

/** PUBLISH packets with packet ids 1 to 60,000 (MQTT 3.1.1), CHUNK to a buffer. */
function encode() {
  const chunks = []
  let frames = []
  for (let i = 0; i < IDS; i++) {
    const id = i % SENSORS
    const topic = Buffer.from(`plant/${id}/temp`)
    const json = JSON.stringify({ id, t: 1_700_000_000_000 + i, v: 20 + (i % 100) / 10 })
    const payload = Buffer.from(json.padEnd(64))
    const body = Buffer.concat([
      Buffer.from([0, topic.length]),
      topic,
      Buffer.from([(i + 1) >> 8, (i + 1) & 255]),
      payload,
    ])
    frames.push(Buffer.from([0x32, body.length]), body)
    if ((i + 1) % CHUNK === 0) {
      chunks.push(Buffer.concat(frames))
      frames = []
    }
  }
  return chunks
}

const chunks = encode()
const socket = connect({ port, host: '127.0.0.1', noDelay: true })
const name = Buffer.from(`publisher-${process.pid}`)
const hello = Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 0, 0, name.length]), name])
socket.write(Buffer.concat([Buffer.from([0x10, hello.length]), hello]))
let sent = 0
let acknowledged = 0
let bytes = 0

socket.once('data', () => {
  socket.on('data', (chunk) => {
    bytes += chunk.length
    acknowledged += Math.floor(bytes / 4)
    bytes %= 4
    publish()
  })
  publish()
})
socket.on('close', () => process.exit())

function publish() {
  while (sent - acknowledged <= WINDOW - CHUNK && (messages === 0 || sent < messages)) {
    socket.write(chunks[(sent / CHUNK) % chunks.length])
    sent += CHUNK
  }
  if (messages === 0 || acknowledged < messages) return
  console.log('done')
  socket.end(Buffer.from([0xe0, 0]))
}
