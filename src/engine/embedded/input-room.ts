/** Room for received input that waits to be processed: in memory, or in files where the storage level of its receiver has disk. */
import type { StorageLevel } from '../../rdd/storage-level.js'
import { InputMemory } from '../../storage/input-memory.js'

/** Where a block may wait, and whose bound it counts against. */
export interface Room {
  readonly account: InputMemory
  readonly bytes: number
  readonly isInFile: boolean
}

export class InputRoom {
  readonly #memory: InputMemory
  /** Null when no input moves to files because memory is full. */
  readonly #disk: InputMemory | null

  constructor(memoryBytes: number, diskBytes: number) {
    this.#memory = new InputMemory(memoryBytes)
    this.#disk = diskBytes === 0 ? null : new InputMemory(diskBytes)
  }

  /** Room for a block. Where there is none, the promise waits until there is, in order: meanwhile the source is not read. */
  take(bytes: number, { useMemory, useDisk }: StorageLevel): Room | Promise<Room> {
    const room = { account: this.#memory, bytes, isInFile: useDisk && !useMemory }
    if (this.#memory.tryReserve(bytes)) return room
    if (useDisk && this.#disk?.tryReserve(bytes) === true) return { account: this.#disk, bytes, isInFile: true }
    return (this.#memory.reserve(bytes) ?? Promise.resolve()).then(() => room)
  }

  /** Lets everyone in from now on: see `InputMemory.lift`. */
  lift(): void {
    this.#memory.lift()
  }
}
