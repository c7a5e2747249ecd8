/** A PUBLISH frame where it lies in a block: what of it stays the same when it is sent again. */

/** Where the parts are. Flags and properties, such as the expiry, may change from one sending to the next. */
export interface PublishFrame {
  /** 0 at QoS 0. */
  readonly packetId: number
  readonly isDup: boolean
  readonly topicStart: number
  readonly topicEnd: number
  readonly payloadStart: number
  readonly end: number
}

/** Frames that lie in `bytes` from `start` on, one after another. */
export interface FrameRun {
  readonly bytes: Buffer
  readonly start: number
  readonly version: 4 | 5
}

/** Reads the frame at `at`, which is whole and valid. */
export function readFrame(bytes: Buffer, at: number, version: 4 | 5): PublishFrame {
  const flags = bytes[at]!
  const body = readLength(bytes, at + 1)
  const end = body.next + body.value
  const topicStart = body.next + 2
  const topicEnd = topicStart + bytes.readUInt16BE(body.next)
  const hasId = (flags & 6) !== 0
  let payloadStart = hasId ? topicEnd + 2 : topicEnd
  if (version === 5) {
    const properties = readLength(bytes, payloadStart)
    payloadStart = properties.next + properties.value
  }
  const packetId = hasId ? bytes.readUInt16BE(topicEnd) : 0
  return { packetId, isDup: (flags & 8) !== 0, topicStart, topicEnd, payloadStart, end }
}

/** Calls `visit` for each frame that has a packet id, in order, with the place where it begins. */
export function forEachWithId(
  { bytes, start, version }: FrameRun,
  visit: (frame: PublishFrame, at: number) => void,
): void {
  for (let at = start; at < bytes.length; ) {
    const frame = readFrame(bytes, at, version)
    if (frame.packetId !== 0) visit(frame, at)
    at = frame.end
  }
}

/** True when `came`, in `bytes`, has the packet id, the topic and the payload of `stored`, in `block`. */
export function isSameMessage(block: Buffer, stored: PublishFrame, bytes: Buffer, came: PublishFrame): boolean {
  return (
    stored.packetId === came.packetId &&
    block.compare(bytes, came.topicStart, came.topicEnd, stored.topicStart, stored.topicEnd) === 0 &&
    block.compare(bytes, came.payloadStart, came.end, stored.payloadStart, stored.end) === 0
  )
}

/** MQTT's variable byte integer, and where it ends. */
function readLength(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0
  for (let scale = 1; ; scale *= 0x80) {
    const byte = bytes[at++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, next: at }
  }
}
