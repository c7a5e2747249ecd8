/**
 * Publishes numbered lines at a rate, QoS 1, twenty lines of about 100 bytes a message, each line `number milliseconds word word …`.
 *
 *   node line-publisher.mjs <port> <topic>      reads the rate in lines a second from standard input, a number a line; prints
 *                                               every half second how many lines were published and how many the broker acknowledged
 */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const LINES = 20
const TICK_MS = 10
const [port, topicText] = process.argv.slice(2)
const topic = Buffer.from(topicText)
const words = Array.from({ length: 997 }, (_, i) => `word-${String(i).padStart(4, '0')}`)

const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true })
const id = Buffer.from('publisher')
const hello = Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 0, 0, id.length]), id])
socket.write(Buffer.concat([Buffer.from([0x10, hello.length]), hello]))

let linesPerSecond = 0
let owed = 0
let published = 0
let acknowledged = 0
let packet = 0
let bytes = 0
let last = performance.now()
let isFull = false
socket.once('data', () => {
  socket.on('data', (chunk) => {
    bytes += chunk.length
    acknowledged += LINES * Math.floor(bytes / 4)
    bytes %= 4
  })
  setInterval(publish, TICK_MS)
  setInterval(() => console.log(`${published} ${acknowledged}`), 500)
})
socket.on('drain', () => {
  isFull = false
})

function publish() {
  const now = performance.now()
  owed += (linesPerSecond * (now - last)) / 1000
  last = now
  // What the broker does not take is not made up for later.
  if (isFull) owed = Math.min(owed, LINES)
  const frames = []
  for (; owed >= LINES; owed -= LINES) frames.push(message())
  if (frames.length > 0) isFull = !socket.write(Buffer.concat(frames))
}

function message() {
  const lines = []
  const now = Date.now()
  for (let i = 0; i < LINES; i++) {
    const number = published++
    let line = `${number} ${now}`
    for (let j = 0; j < 8; j++) line += ` ${words[(number * 7 + j * 131) % words.length]}`
    lines.push(line)
  }
  const payload = Buffer.from(lines.join('\n'))
  packet = packet === 65_535 ? 1 : packet + 1
  const body = Buffer.concat([
    Buffer.from([topic.length >> 8, topic.length & 255]),
    topic,
    Buffer.from([packet >> 8, packet & 255]),
    payload,
  ])
  return Buffer.concat([Buffer.from([0x32, (body.length & 127) | 128, body.length >> 7]), body])
}

createInterface(process.stdin)
  .on('line', (rate) => {
    linesPerSecond = Number(rate)
    owed = 0
    last = performance.now()
  })
  .on('close', () => process.exit())
