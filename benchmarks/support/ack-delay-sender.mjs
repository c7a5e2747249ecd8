// Stands where a broker would: sends PUBLISH frames of QoS 1 at a fixed rate and measures how long each acknowledgement takes.
// Prints its port, and when the subscriber has gone one line of JSON: how many, and the delays in milliseconds.
//
//   node ack-delay-sender.mjs <messages per second> <seconds> <payload bytes>
import { createServer } from 'node:net'

const [ratePerSecond, seconds, payloadBytes] = process.argv.slice(2).map(Number)
const PERIOD_MS = 2
/** Packet ids 1 to so many, over and over. */
const IDS = 60_000
/** Delays of the first so many milliseconds are not counted: code is being compiled. */
const WARM_MS = 2000

const sentAt = new Float64Array(IDS + 1)
const delays = []
let lost = 0

function frame(id) {
  const topic = Buffer.from(`plant/line1/sensor${id % 1000}/temp`)
  const payload = Buffer.from(`{"id":${id % 100},"v":21.5}`.padEnd(payloadBytes))
  const rest = Buffer.concat([
    Buffer.from([topic.length >> 8, topic.length & 255]),
    topic,
    Buffer.from([id >> 8, id & 255, 0]),
    payload,
  ])
  if (rest.length > 127) return Buffer.concat([Buffer.from([0x32, (rest.length & 127) | 128, rest.length >> 7]), rest])
  return Buffer.concat([Buffer.from([0x32, rest.length]), rest])
}

const frames = Array.from({ length: IDS + 1 }, (_, id) => frame(id))

function pace(socket) {
  const begin = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const now = performance.now()
    const due = Math.floor(((now - begin) * ratePerSecond) / 1000)
    const chunk = []
    while (sent < due) {
      const id = (sent++ % IDS) + 1
      if (sentAt[id] !== 0) lost++
      sentAt[id] = now
      chunk.push(frames[id])
    }
    socket.write(Buffer.concat(chunk))
    if (now - begin < seconds * 1000 + WARM_MS) return
    clearInterval(timer)
    setTimeout(() => {
      delays.sort((a, b) => a - b)
      const at = (share) => delays[Math.floor(delays.length * share)]
      console.log(JSON.stringify({ messages: delays.length, lost, p50: at(0.5), p99: at(0.99), max: delays.at(-1) }))
      process.exit()
    }, 500)
  }, PERIOD_MS)
  return begin
}

const server = createServer((socket) => {
  let rest = Buffer.alloc(0)
  let begin = Number.POSITIVE_INFINITY
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const now = performance.now()
    let at = 0
    while (at + 2 <= rest.length) {
      const type = rest[at] >> 4
      let length = rest[at + 1]
      let head = 2
      if (length > 127) length = (length & 127) + rest[at + head++] * 128
      if (at + head + length > rest.length) break
      if (type === 1) socket.write(Buffer.from([0x20, 3, 0, 0, 0]))
      if (type === 8) {
        socket.write(Buffer.from([0x90, 4, rest[at + head], rest[at + head + 1], 0, 1]))
        begin = pace(socket)
      }
      if (type === 12) socket.write(Buffer.from([0xd0, 0]))
      if (type === 4) {
        const id = rest.readUInt16BE(at + head)
        if (sentAt[id] - begin > WARM_MS) delays.push(now - sentAt[id])
        sentAt[id] = 0
      }
      at += head + length
    }
    rest = rest.subarray(at)
  })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
