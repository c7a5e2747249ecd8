import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/errors.js'
import { AckReader } from '../../src/mqtt/ack-reader.js'

const runs = Math.ceil(2000 * Number(process.env.MILLRACE_BUDGET ?? 1))

interface Outcome {
  readonly packets: string[]
  readonly code: unknown
}

/** What the reader makes of `bytes` that come cut at these places, as a connection would give them: what is not taken comes again with more behind it. */
function read(bytes: Buffer, cuts: readonly number[]): Outcome {
  const packets: string[] = []
  const reader = new AckReader((packet, type, id, reason) =>
    packets.push(`${packet.toString('hex')} ${type} ${id} ${reason}`),
  )
  let start = 0
  try {
    for (const end of [...cuts, bytes.length]) start = reader.read(bytes, start, end)
    return { packets, code: null }
  } catch (error) {
    if (!MillraceError.is(error)) throw error
    return { packets, code: error.code }
  }
}

/** PUBACK, PUBREC, PUBCOMP with and without a reason and properties, PINGRESP, DISCONNECT, CONNACK. */
const packet = fc.oneof(
  fc
    .tuple(fc.constantFrom(0x40, 0x50, 0x70), fc.nat(65_535), fc.constantFrom('', '00', '10', '87', '9700', '100405'))
    .map(([type, id, rest]) => {
      const body = Buffer.concat([Buffer.from([id >> 8, id & 255]), Buffer.from(rest, 'hex')])
      return Buffer.concat([Buffer.from([type, body.length]), body])
    }),
  fc.constantFrom('d000', 'e000', 'e00182', '2003000000').map((hex) => Buffer.from(hex, 'hex')),
)
const stream = fc.array(packet, { maxLength: 12 }).map((packets) => Buffer.concat(packets))
const mutated = fc
  .tuple(stream, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 4 }))
  .map(([bytes, changes]) => {
    const copy = Buffer.from(bytes)
    for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value
    return copy
  })
const random = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes))

describe('what a broker sends to a sink', () => {
  test('is read the same wherever it is cut, and breaks nothing, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(stream, mutated, random), (bytes) => {
        const whole = read(bytes, [])
        expect([null, 'MQTT_PROTOCOL_ERROR']).toContain(whole.code)
        const everywhere = Array.from({ length: bytes.length }, (_, i) => i)
        expect(read(bytes, everywhere)).toEqual(whole)
        for (const cut of everywhere) expect(read(bytes, [cut])).toEqual(whole)
      }),
      { numRuns: runs },
    )
  })

  test('gives each acknowledgement with its packet id and reason', () => {
    const { packets, code } = read(Buffer.from('40020102' + '5003010387' + 'd000' + '7004ffff1000', 'hex'), [])
    expect(packets).toEqual(['40020102 64 258 0', '5003010387 80 259 135', 'd000 208 0 0', '7004ffff1000 112 65535 16'])
    expect(code).toBeNull()
  })

  test.each([
    ['an acknowledgement without a packet id', '400101'],
    ['a length of five bytes', '40ffffffffff01'],
    ['a packet no publisher is sent', '30ffffff7f'],
  ])('ends the connection with %s', (_, hex) => {
    expect(read(Buffer.from(`40020001${hex}`, 'hex'), [])).toEqual({
      packets: ['40020001 64 1 0'],
      code: 'MQTT_PROTOCOL_ERROR',
    })
  })
})
