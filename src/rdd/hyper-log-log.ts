/** Counts different values in a fixed, small space, about. HyperLogLog, with linear counting while few registers are in use. */
import { MillraceError } from '../errors.js'
import { canonicalKey } from './keys.js'
import { mix } from './random.js'

/** How many bits of index give that relative standard deviation. Throws `ILLEGAL_ARGUMENT` for 0.000017 or less, Spark's bound. */
export function sketchBits(relativeSd: number): number {
  if (!(relativeSd > 0.000017))
    throw new MillraceError(
      'ILLEGAL_ARGUMENT',
      `The relative standard deviation must be more than 0.000017, not ${relativeSd}.`,
    )
  return Math.min(Math.max(Math.ceil(2 * Math.log2(1.054 / relativeSd)), 4), 24)
}

export class HyperLogLog {
  readonly #bits: number
  /** The longest run of zeros seen, one register for each value of the index bits. */
  readonly registers: Uint8Array

  /** With `registers`, goes on where another left off, in the same array. */
  constructor(bits: number, registers: Uint8Array = new Uint8Array(1 << bits)) {
    this.#bits = bits
    this.registers = registers
  }

  add(value: unknown): void {
    const text = canonicalKey(value)
    let a = 0x811c9dc5
    let b = 0x9747b28c
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b + code, 0x5bd1e995) ^ (b >>> 15)
    }
    const index = mix(a ^ text.length) >>> (32 - this.#bits)
    const rank = Math.clz32(mix(b ^ Math.imul(a, 0x9e3779b1))) + 1
    if (rank > this.registers[index]!) this.registers[index] = rank
  }

  merge(registers: Uint8Array): void {
    for (let i = 0; i < registers.length; i++) {
      if (registers[i]! > this.registers[i]!) this.registers[i] = registers[i]!
    }
  }

  estimate(): number {
    const m = this.registers.length
    let sum = 0
    let zeros = 0
    for (const rank of this.registers) {
      sum += 2 ** -rank
      if (rank === 0) zeros++
    }
    const alpha = m === 16 ? 0.673 : m === 32 ? 0.697 : m === 64 ? 0.709 : 0.7213 / (1 + 1.079 / m)
    const raw = (alpha * m * m) / sum
    return Math.round(raw <= 2.5 * m && zeros > 0 ? m * Math.log(m / zeros) : raw)
  }
}
