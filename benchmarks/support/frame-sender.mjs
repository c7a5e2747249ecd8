// A sender of pre-encoded PUBLISH frames that speaks just enough MQTT to be subscribed to: the peer of receivers measured
// without a broker in between. It keeps at most `window` messages unacknowledged and stops when told.
//
//   node frame-sender.mjs <payload bytes> <topics> <qos> [window]     prints its port, then serves every connection alike
import { serveSubscribers } from './subscribed-server.mjs'

const [payloadBytes, topics, qos, window = 60_000] = process.argv.slice(2).map(Number)

/** Frames with packet ids 1 – 65535 in one buffer, and where each begins. */
function encode(version) {
  const frames = []
  const starts = [0]
  for (let id = 1; id <= 65_535; id++) {
    const sensor = id % topics
    const topic = Buffer.from(`plant/line1/sensor${sensor}/temp`)
    const json = `{"id":${sensor},"t":17000000${String(id).padStart(5, '0')},"v":${(20 + (id % 100) / 10).toFixed(1)},"pad":""}`
    const payload = Buffer.from(
      json.replace('"pad":""', `"pad":"${'x'.repeat(Math.max(0, payloadBytes - json.length))}"`),
    )
    const head = Buffer.from([topic.length >> 8, topic.length & 255])
    const rest = qos === 0 ? [] : [Buffer.from([id >> 8, id & 255])]
    const body = Buffer.concat([head, topic, ...rest, ...(version === 5 ? [Buffer.from([0])] : []), payload])
    const length = []
    for (let n = body.length; ; n >>= 7) {
      length.push(n > 127 ? (n & 127) | 128 : n)
      if (n <= 127) break
    }
    const frame = Buffer.concat([Buffer.from([0x30 | (qos << 1), ...length]), body])
    frames.push(frame)
    starts.push(starts.at(-1) + frame.length)
  }
  return { bytes: Buffer.concat(frames), starts }
}

const encoded = { 4: encode(4), 5: encode(5) }

const port = await serveSubscribers(qos, (socket, version) => {
  const { bytes, starts } = encoded[version]
  let next = 0
  let inFlight = 0
  let isWritable = true
  const pump = () => {
    while (isWritable && (qos === 0 || inFlight < window)) {
      const count = Math.min(2000, 65_535 - next, qos === 0 ? 2000 : window - inFlight)
      isWritable = socket.write(bytes.subarray(starts[next], starts[next + count]))
      next = (next + count) % 65_535
      if (qos > 0) inFlight += count
    }
  }
  socket.on('drain', () => {
    isWritable = true
    pump()
  })
  // Called after the server's own listener, so after all acknowledgements of a read.
  socket.on('data', pump)
  pump()
  return () => inFlight--
})
console.log(port)
process.stdin.on('end', () => process.exit()).resume()
