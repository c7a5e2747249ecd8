/** What a broker sends to a publisher: acknowledgements, and packets for MQTT.js. */
import { MillraceError } from '../errors.js'
import type { FrameReader } from './tap-stream.js'

const PACKET_LIMIT = 128 * 1024

/** Hands on whole packets, one by one. One that breaks the protocol is thrown as `MQTT_PROTOCOL_ERROR`; those before it are handed on. */
export class AckReader implements FrameReader {
  readonly needed: number = 0
  readonly #onPacket: (packet: Buffer, type: number, id: number, reason: number) => void

  constructor(onPacket: (packet: Buffer, type: number, id: number, reason: number) => void) {
    this.#onPacket = onPacket
  }

  read(bytes: Buffer, start: number, end: number): number {
    let pos = start
    while (pos + 1 < end) {
      let at = pos + 1
      let length = 0
      for (let factor = 1; ; factor *= 128) {
        if (at >= end) return pos
        const byte = bytes[at++]!
        length += (byte & 0x7f) * factor
        if (byte < 0x80) break
        if (factor > 2_097_151) throw malformed('a remaining length of more than four bytes')
      }
      if (length > PACKET_LIMIT) throw malformed(`a packet of ${length} bytes to a client that only publishes`)
      const next = at + length
      if (next > end) return pos
      const type = bytes[pos]! & 0xf0
      const hasId = type === 0x40 || type === 0x50 || type === 0x70
      if (hasId && length < 2) throw malformed('an acknowledgement without a packet identifier')
      this.#onPacket(
        bytes.subarray(pos, next),
        type,
        hasId ? bytes.readUInt16BE(at) : 0,
        hasId && length > 2 ? bytes[at + 2]! : 0,
      )
      pos = next
    }
    return pos
  }
}

function malformed(what: string): MillraceError {
  return new MillraceError('MQTT_PROTOCOL_ERROR', `The broker sent ${what}.`, { details: { reasonCode: 0x81 } })
}
