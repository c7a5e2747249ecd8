// Sends a message at QoS 1 every few milliseconds to whoever subscribes, and tells how long each acknowledgement took.
//
//   node paced-sender.mjs <interval ms>     prints its port, then a line of JSON with the delays of the last second, each second
import { serveSubscribers } from './subscribed-server.mjs'

const intervalMs = Number(process.argv[2])

const port = await serveSubscribers(1, (socket, version) => {
  const sentAt = new Map()
  let delays = []
  let id = 0
  const sending = setInterval(() => {
    id = (id % 65_535) + 1
    const topic = Buffer.from('\0\x05paced')
    const rest = Buffer.from([id >> 8, id & 255, ...(version === 5 ? [0] : []), 0x31])
    sentAt.set(id, performance.now())
    socket.write(Buffer.concat([Buffer.from([0x32, topic.length + rest.length]), topic, rest]))
  }, intervalMs)
  const telling = setInterval(() => {
    const now = performance.now()
    // What still waits counts for as long as it has waited.
    for (const at of sentAt.values()) if (now - at > 100) delays.push(now - at)
    console.log(JSON.stringify(delays))
    delays = []
  }, 1000)
  socket.on('close', () => {
    clearInterval(sending)
    clearInterval(telling)
  })
  return (puback) => {
    const of = puback[0] * 256 + puback[1]
    delays.push(performance.now() - sentAt.get(of))
    sentAt.delete(of)
  }
})
console.log(port)
process.stdin.on('end', () => process.exit()).resume()
