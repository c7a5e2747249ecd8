/** Records in stored bytes, a frame at a time: never all of them as records, nor all of a file as bytes, at once. */
import { MillraceError } from '../errors.js'
import { readFrames } from './record-frames.js'
import { readStoredSync, type StoredBytes, sliceStored } from './stored-bytes.js'

/** What is read of a file at once, unless a frame is longer. */
const windowBytes = 1 << 20
const headBytes = 4

/** The frames of stored bytes, in order. The file is open only while it is read: who stops halfway leaves nothing behind. */
export function* framesIn(stored: StoredBytes): Generator<unknown[]> {
  if (stored.type === 'shared') {
    yield* readFrames(readStoredSync(stored))
    return
  }
  let wanted = windowBytes
  for (let from = 0; from < stored.length; ) {
    const window = readStoredSync(sliceStored(stored, from, Math.min(from + wanted, stored.length)))
    const whole = wholeFrames(window)
    if (whole === 0 && window.byteLength < wanted) {
      throw new MillraceError(
        'CHECKPOINT_INVALID',
        `Stored records in ${stored.path} cannot be read back: they end too early.`,
      )
    }
    yield* readFrames(window.subarray(0, whole))
    from += whole
    // The next window begins with the frame that did not fit into this one.
    wanted = Math.max(windowBytes, firstFrame(window, whole))
  }
}

/** How many bytes of the window are whole frames. */
function wholeFrames(window: Uint8Array): number {
  let at = 0
  for (;;) {
    const next = at + firstFrame(window, at)
    if (next > window.byteLength || at + headBytes > window.byteLength) return at
    at = next
  }
}

/** How long the frame at `at` is, its head included; a head when not even that is there. */
function firstFrame(window: Uint8Array, at: number): number {
  if (at + headBytes > window.byteLength) return headBytes
  return headBytes + new DataView(window.buffer, window.byteOffset + at, headBytes).getUint32(0, true)
}
