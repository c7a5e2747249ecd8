/** MQTT frames for tests, written by hand: valid ones, and the parts to make broken ones of. */

/** A remaining length as MQTT writes it. */
export function lengthBytes(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest >= 128 ? (rest % 128) | 128 : rest)
    if (rest < 128) return bytes
  }
}

export function frame(first: number, ...parts: (Uint8Array | readonly number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)))
  return Buffer.concat([Buffer.from([first, ...lengthBytes(body.length)]), body])
}

/** Text with its two-byte length. */
export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}

export interface PublishParts {
  readonly topic: string | Uint8Array
  readonly payload?: string | Uint8Array
  readonly qos?: number
  readonly id?: number
  readonly retain?: boolean
  readonly dup?: boolean
  /** Bytes of the properties, without their length; null for MQTT 3.1.1. */
  readonly properties?: Uint8Array | readonly number[] | null
}

export function publish({
  topic,
  payload = '',
  qos = 0,
  id = 1,
  retain = false,
  dup = false,
  properties = [],
}: PublishParts): Buffer {
  return frame(
    0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0),
    text(topic),
    qos === 0 ? [] : [id >> 8, id & 255],
    properties === null ? [] : [...lengthBytes(properties.length), ...properties],
    Buffer.from(payload as string),
  )
}

export const connack = (version: 4 | 5, sessionPresent = false): Buffer =>
  Buffer.from(version === 5 ? [0x20, 3, sessionPresent ? 1 : 0, 0, 0] : [0x20, 2, sessionPresent ? 1 : 0, 0])

/** Numbers that look random and are the same for the same seed. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}
