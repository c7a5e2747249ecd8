/**
 * A sender that stands where a broker would: accepts a subscriber, then sends it pre-encoded PUBLISH frames as fast as it takes them, never more
 * than 60,000 of them unacknowledged. Run as a child process; it prints its port, and one line of JSON when every message is acknowledged.
 *
 *   node counted-sender.mjs '{"messages":1000000,"payloadBytes":64,"topics":1000,"qos":1,"json":false,"tls":{"key":"…","cert":"…"}}'
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

const { messages, payloadBytes, topics, qos, json, tls } = JSON.parse(process.argv[2])
const WINDOW = 60_000

/** Remaining length as MQTT writes it. */
function length(value) {
  return value < 128
    ? [value]
    : value < 16_384
      ? [(value % 128) | 128, value >> 7]
      : [(value % 128) | 128, ((value >> 7) % 128) | 128, value >> 14]
}

function payload(k, t) {
  if (!json) return Buffer.alloc(payloadBytes, `message ${k} `)
  const text = `{"id":${k},"t":${1_700_000_000_000 + t},"v":${(20 + (k % 100) / 10).toFixed(3)}}`
  return Buffer.from(text.padEnd(payloadBytes))
}

/** Chunks of about a megabyte, each a whole number of frames; packet ids run on from chunk to chunk, 1 to 60,000. */
function encode(version) {
  const chunks = []
  let frames = []
  let size = 0
  let count = 0
  for (let i = 0; i < WINDOW; i++) {
    const topic = Buffer.from(`plant/line1/sensor${i % topics}/temp`)
    const body = payload(i % topics, i)
    const id = qos === 0 ? [] : [(i + 1) >> 8, (i + 1) & 255]
    const rest = Buffer.concat([
      Buffer.from([topic.length >> 8, topic.length & 255]),
      topic,
      Buffer.from([...id, ...(version === 5 ? [0] : [])]),
      body,
    ])
    const frame = Buffer.concat([Buffer.from([0x30 | (qos << 1), ...length(rest.length)]), rest])
    frames.push(frame)
    size += frame.length
    count += 1
    if (size >= 1_048_576 || i === WINDOW - 1) {
      chunks.push({ bytes: Buffer.concat(frames), count })
      frames = []
      size = 0
      count = 0
    }
  }
  return chunks
}

const encoded = { 4: encode(4), 5: encode(5) }

function serve(socket) {
  let version = 4
  let sent = 0
  let acked = 0
  /** Bytes of the packet that the last chunk ended in. */
  let begun = Buffer.alloc(0)
  let next = 0
  let isSubscribed = false
  let isWaiting = false
  let begin = 0
  socket.setNoDelay?.(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    const rest = begun.length === 0 ? chunk : Buffer.concat([begun, chunk])
    if (!isSubscribed) {
      // CONNECT and SUBSCRIBE come whole and alone: the client waits for the answer to each.
      if (rest[0] === 0x10) {
        version = rest[rest.indexOf('MQTT') + 4]
        socket.write(version === 5 ? Buffer.from([0x20, 3, 0, 0, 0]) : Buffer.from([0x20, 2, 0, 0]))
        return
      }
      if (rest[0] !== 0x82) return
      const at = rest[1] < 128 ? 2 : 3
      socket.write(
        version === 5
          ? Buffer.from([0x90, 4, rest[at], rest[at + 1], 0, qos])
          : Buffer.from([0x90, 3, rest[at], rest[at + 1], qos]),
      )
      isSubscribed = true
      begin = performance.now()
      send()
      return
    }
    // PUBACKs of four bytes, and PINGREQs of two.
    let at = 0
    for (let size = 0; at < rest.length; at += size) {
      size = rest[at] === 0xc0 ? 2 : 4
      if (at + size > rest.length) break
      if (size === 4) acked++
      else socket.write(Buffer.from([0xd0, 0]))
    }
    begun = rest.subarray(at)
    if (qos === 0) acked = sent
    if (acked >= messages) finish()
    else send()
  })
  function send() {
    if (isWaiting) return
    while (sent < messages) {
      const chunk = encoded[version][next % encoded[version].length]
      if (qos > 0 && sent + chunk.count - acked > WINDOW) return
      sent += chunk.count
      next += 1
      if (!socket.write(chunk.bytes)) {
        isWaiting = true
        socket.once('drain', () => {
          isWaiting = false
          send()
        })
        return
      }
    }
    if (qos === 0) socket.once('drain', finish)
  }
  let isDone = false
  function finish() {
    if (isDone) return
    isDone = true
    console.log(JSON.stringify({ sent, ms: performance.now() - begin }))
  }
}

const server = tls
  ? createTlsServer({ key: readFileSync(tls.key), cert: readFileSync(tls.cert) }, serve)
  : createServer(serve)
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.on('disconnect', () => process.exit())
