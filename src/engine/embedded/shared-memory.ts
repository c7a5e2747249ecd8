/** Who allocated which shared memory, and which running tasks read it: memory goes back to its thread when neither needs it. */
import { unlink } from 'node:fs/promises'
import type { BlockContent } from '../../storage/block-manager.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'

/** The driver among the threads that allocate memory. */
export const driverThread = 0

interface Use {
  /** The thread whose pool the memory is from. */
  readonly thread: number
  readers: number
  isFree: boolean
}

export class SharedMemory {
  readonly #uses = new WeakMap<SharedArrayBuffer, Use>()
  readonly #giveBack: (thread: number, memory: SharedArrayBuffer) => void

  constructor(giveBack: (thread: number, memory: SharedArrayBuffer) => void) {
    this.#giveBack = giveBack
  }

  /** Notes that `thread` allocated these bytes. */
  own(stored: StoredBytes, thread: number): void {
    if (stored.type === 'shared') this.#uses.set(stored.memory, { thread, readers: 0, isFree: false })
  }

  /** A task begins to read. */
  hold(stored: StoredBytes): void {
    const use = stored.type === 'shared' ? this.#uses.get(stored.memory) : undefined
    if (use !== undefined) use.readers++
  }

  /** A task reads no more. */
  drop(stored: StoredBytes): void {
    const use = stored.type === 'shared' ? this.#uses.get(stored.memory) : undefined
    if (use === undefined) return
    use.readers--
    this.#collect(stored, use)
  }

  /** Nobody will ask for these bytes again; tasks that read them may go on. */
  free(stored: StoredBytes): void {
    const use = stored.type === 'shared' ? this.#uses.get(stored.memory) : undefined
    if (use === undefined) return
    use.isFree = true
    this.#collect(stored, use)
  }

  #collect(stored: StoredBytes, use: Use): void {
    if (!use.isFree || use.readers > 0 || stored.type !== 'shared') return
    this.#uses.delete(stored.memory)
    this.#giveBack(use.thread, stored.memory)
  }
}

/** Lets go of bytes nobody asks for again. */
export function discard(memory: SharedMemory, stored: StoredBytes): void {
  if (stored.type === 'shared') memory.free(stored)
  else void unlink(stored.path).catch(() => {})
}

/** Lets go of a block's content. */
export function discardContent(memory: SharedMemory, content: BlockContent): void {
  if (content.type !== 'stored') return
  for (const part of content.beneath ?? []) memory.drop(part)
  discard(memory, content.stored)
}
