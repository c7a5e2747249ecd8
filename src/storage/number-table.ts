/**
 * Rows by number: a hash table of two typed arrays. A `Map` of a million numbers waits for memory several times at each look-up;
 * here numbers that follow each other lie side by side, and are mostly looked up so.
 */

const slotsMin = 16

export class NumberTable {
  /** By slot: a number, 0 for none. */
  #numbers = new Float64Array(slotsMin)
  /** By slot: its row. */
  #rows = new Int32Array(slotsMin)
  #size = 0

  /** The row of `number`, which is 1 or more; undefined when it has none. */
  get(number: number): number | undefined {
    const slot = this.#slotOf(number)
    return this.#numbers[slot] === 0 ? undefined : this.#rows[slot]
  }

  set(number: number, row: number): void {
    const slot = this.#slotOf(number)
    this.#rows[slot] = row
    if (this.#numbers[slot] === number) return
    this.#numbers[slot] = number
    if (++this.#size * 2 > this.#numbers.length) this.#grow()
  }

  /** The slot that has the number, or else the free one where it would go. */
  #slotOf(number: number): number {
    const numbers = this.#numbers
    const mask = numbers.length - 1
    let slot = number & mask
    while (numbers[slot] !== number && numbers[slot] !== 0) slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const numbers = this.#numbers
    const rows = this.#rows
    this.#numbers = new Float64Array(numbers.length * 2)
    this.#rows = new Int32Array(numbers.length * 2)
    for (let old = 0; old < numbers.length; old++) {
      if (numbers[old] === 0) continue
      const slot = this.#slotOf(numbers[old]!)
      this.#numbers[slot] = numbers[old]!
      this.#rows[slot] = rows[old]!
    }
  }
}
