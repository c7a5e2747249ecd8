/** Just enough of an MQTT broker for a client to connect and subscribe to: what comes after that is the caller's. */
import net from 'node:net'

/**
 * Serves every connection alike. `onSubscribed(socket, version)` is called when the client has subscribed and gives what is to be
 * called with the packet id, big-endian in two bytes, of each PUBACK. Resolves to the port.
 */
export function serveSubscribers(qos, onSubscribed) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    let rest = Buffer.alloc(0)
    let version = 4
    let onPuback = () => {}
    const take = (type, body) => {
      if (type === 4) onPuback(body)
      else if (type === 1) {
        version = body[6] === 5 ? 5 : 4
        socket.write(version === 5 ? Buffer.from([0x20, 3, 0, 0, 0]) : Buffer.from([0x20, 2, 0, 0]))
      } else if (type === 8) {
        const head = Buffer.from([0x90, version === 5 ? 4 : 3])
        socket.write(Buffer.concat([head, body.subarray(0, 2), Buffer.from(version === 5 ? [0, qos] : [qos])]))
        onPuback = onSubscribed(socket, version)
      } else if (type === 12) socket.write(Buffer.from([0xd0, 0]))
    }
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => {
      const bytes = rest.length === 0 ? data : Buffer.concat([rest, data])
      let at = 0
      while (at + 1 < bytes.length) {
        let length = 0
        let position = at + 1
        for (let shift = 0; position < bytes.length; shift += 7) {
          length |= (bytes[position] & 127) << shift
          if (bytes[position++] < 128) break
        }
        if (position + length > bytes.length) break
        take(bytes[at] >> 4, bytes.subarray(position, position + length))
        at = position + length
      }
      rest = bytes.subarray(at)
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address().port))
  })
}
